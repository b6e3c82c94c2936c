"""The command that puts another one under the recorder."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from advisor.rendering.recorder_options import RecorderOptions

# Seconds that the check may take: long enough for a slow shared folder with nothing cached.
_CHECK_LIMIT_S = "15"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderCommand:
    """``arguments`` stand before the recorded command; ``check`` ends with 0 where the recorder can run."""

    arguments: tuple[str, ...]
    check: tuple[str, ...]


def recorder_command(options: RecorderOptions, *, python: str = sys.executable) -> RecorderCommand:
    """The recorder under advisor's own Python, isolated from the user's PYTHON* variables and site packages."""
    return RecorderCommand(
        arguments=(python, "-I", "-m", "advisor.telemetry.recorder", *options.to_arguments(), "--"),
        # A shared folder that hangs must not hang the job.
        check=("timeout", "-k", "1", _CHECK_LIMIT_S, python, "-I", "-c", "import advisor.telemetry.recorder"),
    )
