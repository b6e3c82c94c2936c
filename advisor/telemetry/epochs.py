"""Marks from the hook to epochs with their energy."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from advisor.telemetry.energy import EnergyMeter, Reading, energy_between
from advisor.telemetry.trace import Epoch

MAX_MARK_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One message of the hook. ``kind`` is ``epoch_begin`` or ``epoch_end``; ``epochs`` is how many are wanted."""

    kind: str
    phase: int
    index: int
    time_s: float
    epochs: int | None = None
    steps: int | None = None
    samples: int | None = None


def read_mark(message: bytes) -> Mark | None:
    """Read a mark; None where it is not one: whatever runs in the job may write to the hook's socket."""
    try:
        plain = json.loads(message)
        mark = Mark(
            kind=plain["kind"],
            phase=plain["phase"],
            index=plain["index"],
            time_s=plain["time_s"],
            epochs=plain.get("epochs"),
            steps=plain.get("steps"),
            samples=plain.get("samples"),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    counts = (mark.phase, mark.index, mark.epochs or 0, mark.steps or 0, mark.samples or 0)
    if not all(type(count) is int and count >= 0 for count in counts) or type(mark.time_s) not in {int, float}:
        return None
    return mark if math.isfinite(mark.time_s) and mark.kind in {"epoch_begin", "epoch_end"} else None


class EpochLog:
    """Pairs begin and end marks; an end without its begin is no epoch."""

    def __init__(self, meter: EnergyMeter) -> None:
        self._meter = meter
        self._open: dict[tuple[int, int], tuple[Mark, Reading | None]] = {}
        self.total_epochs: int | None = None

    def add(self, mark: Mark) -> Epoch | None:
        """Take a mark, with the meter's last sample taken just after it; the finished epoch on its end mark."""
        key = (mark.phase, mark.index)
        if mark.kind == "epoch_begin":
            self._open = {key: (mark, self._meter.at(mark.time_s))}  # an epoch that was broken off is forgotten
            self.total_epochs = mark.epochs
            return None
        begun = self._open.pop(key, None)
        if begun is None or mark.time_s < begun[0].time_s:
            return None
        begin, reading = begun
        return Epoch(
            phase=mark.phase,
            index=mark.index,
            started_at=begin.time_s,
            ended_at=mark.time_s,
            steps=mark.steps,
            samples=mark.samples,
            gpu_energy_j=energy_between(reading, self._meter.at(mark.time_s)),
        )
