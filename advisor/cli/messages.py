"""What gsbatch says to a person beside sbatch's own words."""

from __future__ import annotations

import contextlib
import sys

from advisor.request.command_line import CommandLine


def say(line: CommandLine, text: str) -> None:
    """One line on stderr; sbatch's --quiet is for us too."""
    if not line.has("quiet"):
        with contextlib.suppress(OSError):  # a full disk behind stderr must not cost the job
            sys.stderr.write(f"gsbatch: {text}\n")
            sys.stderr.flush()
