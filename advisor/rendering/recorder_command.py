"""The words that put a command under the recorder: the one place that knows the recorder's command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from advisor.units import GainRule


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
    budget_on: str = "spent",
    budget_signal: str | None = None,
    min_gain: GainRule | None = None,
    gpu_readings: Path | None = None,
    probe: str | None = None,
    python: str = sys.executable,
) -> RecorderCommand:
    """The recorder under advisor's own Python, isolated from the user's PYTHON* variables and site packages.

    ``probe`` says how to dry-run the training beside it: ``auto``, where the kernel can confine it, or ``on``.
    """
    words = [python, "-I", "-m", "advisor.telemetry.recorder", "--spool", str(spool_dir), "--ticket", ticket_id]
    if energy_budget_j is not None:
        words += ["--energy-budget", f"{energy_budget_j:.0f}"]
        if budget_on != "spent":
            words += ["--budget-on", budget_on]
    if min_gain is not None:
        words += ["--min-gain", str(min_gain)]
    if budget_signal is not None and (energy_budget_j is not None or min_gain is not None):
        words += ["--budget-signal", budget_signal]
    if gpu_readings is not None:
        words += ["--gpu-readings", str(gpu_readings)]
    if probe is not None:
        words += ["--probe", probe]
    return RecorderCommand(words=(*words, "--"), check=(python, "-I", "-c", "import advisor.telemetry.recorder"))
