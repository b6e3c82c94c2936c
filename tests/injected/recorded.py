"""A training script run under the recorder, as a job would run it, and what its trace says of its epochs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from advisor.telemetry.reading import parse_trace
from advisor.telemetry.trace import Trace

QUIET = {
    "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
}  # fmt: skip
# phase, index, steps, samples, validation
Row = tuple[int, int, int | None, int | None, bool]


def record(
    code: str, folder: Path, *, python: str = sys.executable, options: tuple[str, ...] = (), **environment: str
) -> tuple[subprocess.CompletedProcess[str], Trace]:
    """Run the script in a folder of its own; the recorder's options come before the command."""
    (folder / "train.py").write_text(code, encoding="utf-8")
    recorder = [sys.executable, "-I", "-m", "advisor.telemetry.recorder", "--spool", str(folder / "spool"), *options]
    done = subprocess.run(
        [*recorder, "--", python, "train.py"],
        env={**os.environ, **QUIET, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=folder,
    )
    (path,) = (folder / "spool").iterdir()
    return done, parse_trace(path.read_text(encoding="utf-8"))


def rows(trace: Trace) -> list[Row]:
    """The trace's epochs without their times and energies."""
    return [(e.phase, e.index, e.steps, e.samples, e.validation) for e in trace.epochs]
