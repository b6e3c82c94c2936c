"""How a job is recorded, as one value, and the arguments that carry it from the batch script to every sampler.

Standard library only: the recorder starts with every job and loads little.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import NamedTuple


class RecorderOptions(NamedTuple):
    """What the recorder is told, and through it the samplers of all nodes.

    A NamedTuple, because importing ``dataclasses`` takes longer than all else that the recorder does at its start.

    ``spool`` is the folder for traces and ``gpu_readings`` a file of recorded readings to replay in place of NVML.
    ``ticket`` is the id of the submission's ticket, ``interval_s`` the time between samples. ``energy_budget_j`` is
    the energy that the training may use, ``budget_on`` whether that means energy ``spent`` or ``projected``, and
    ``min_gain`` a rule GAIN[:METRIC[:EPOCHS]] of what an epoch must gain for each kJ; ``budget_signal`` is sent where
    no framework can stop the training. ``probe`` says how to dry-run the training beside it: ``auto``, where the
    kernel can confine it, or ``on``; None leaves that out.
    """

    spool: str
    ticket: str | None = None
    interval_s: float = 1.0
    gpu_readings: str | None = None
    energy_budget_j: float | None = None
    budget_on: str = "spent"
    budget_signal: str | None = None
    min_gain: str | None = None
    probe: str | None = None

    @property
    def has_stop_rule(self) -> bool:
        """Whether anything may stop the training before its end."""
        return self.energy_budget_j is not None or self.min_gain is not None

    def to_arguments(self) -> list[str]:
        """The options as arguments; those that have their default are left out, and so is what has no effect."""
        unused = set() if self.has_stop_rule else {"budget_on", "budget_signal"}
        arguments = []
        for name, value in zip(self._fields, self, strict=True):
            if name not in unused and value != self._field_defaults.get(name):
                arguments += [_FLAGS[name], f"{value:.15g}" if isinstance(value, float) else str(value)]
        return arguments

    def seen_from(self, folder: str) -> RecorderOptions:
        """The same with absolute paths, for a process that does not stand in ``folder``."""
        readings = None if self.gpu_readings is None else os.path.join(folder, self.gpu_readings)  # noqa: PTH118 (pathlib is slow to load)
        return self._replace(spool=os.path.join(folder, self.spool), gpu_readings=readings)  # noqa: PTH118 (pathlib is slow to load)


_FLAGS = {
    "spool": "--spool", "ticket": "--ticket", "interval_s": "--interval", "gpu_readings": "--gpu-readings",
    "energy_budget_j": "--energy-budget", "budget_on": "--budget-on", "budget_signal": "--budget-signal",
    "min_gain": "--min-gain", "probe": "--probe",
}  # fmt: skip
_NUMBERS = frozenset({"interval_s", "energy_budget_j"})


def parse_recorder_arguments(
    parser: argparse.ArgumentParser, arguments: Sequence[str]
) -> tuple[RecorderOptions, argparse.Namespace]:
    """Read what ``to_arguments`` wrote, followed by ``--`` and the command that is recorded.

    Args:
        parser: knows the program's own arguments; what is wrong ends as its ``error`` method says.
        arguments: without the program's name.

    Returns:
        The options, and a namespace with the program's own arguments and ``command``.
    """
    for name, flag in _FLAGS.items():
        parser.add_argument(
            flag,
            dest=name,
            type=float if name in _NUMBERS else str,
            required=name == "spool",
            default=RecorderOptions._field_defaults.get(name),
        )
    parser.add_argument("command", nargs="+")
    found = parser.parse_args(arguments)
    return RecorderOptions(**{name: getattr(found, name) for name in _FLAGS}), found
