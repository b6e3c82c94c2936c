"""The words that put a command under the recorder: the one place that knows the recorder's command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderCommand:
    """``words`` stand before the recorded command. ``check`` ends with 0 where the recorder can run on this node."""

    words: tuple[str, ...]
    check: tuple[str, ...]


def recorder_command(
    spool_dir: Path,
    *,
    ticket_id: str,
    energy_budget_j: float | None = None,
    gpu_readings: Path | None = None,
    python: str = sys.executable,
) -> RecorderCommand:
    """The recorder under advisor's own Python, isolated from the user's PYTHON* variables and site packages."""
    words = [python, "-I", "-m", "advisor.telemetry.recorder", "--spool", str(spool_dir), "--ticket", ticket_id]
    if energy_budget_j is not None:
        words += ["--energy-budget", f"{energy_budget_j:.0f}"]
    if gpu_readings is not None:
        words += ["--gpu-readings", str(gpu_readings)]
    return RecorderCommand(words=(*words, "--"), check=(python, "-I", "-c", "import advisor.telemetry.recorder"))
