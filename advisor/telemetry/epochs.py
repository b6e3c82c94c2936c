"""Marks from the hook to epochs with their energy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from advisor.telemetry.energy import EnergyMeter, Reading, spent_between
from advisor.telemetry.trace import Epoch

MAX_MARK_BYTES = 4096
_MOST = 2**53
_MOST_OPEN = 64
_LONGEST_WORD = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One message of the hook.

    ``kind`` is ``epoch_begin``, ``epoch_end`` or ``stopped``, with ``by``, how the training was told; ``epochs`` is how
    many are wanted. ``process`` is the one that sent it: a job may train in several, one after the other, and each
    counts its phases from 0. ``pass_number`` names a pass over data, of which only its end says whether it was an epoch
    and which. ``time_s`` is the wall clock's, which may be set at any time; ``monotonic_s`` is the machine's own.
    ``metrics`` are what the framework reported by then. ``answer`` is a descriptor on which the hook waits, for a
    moment, to hear whether to stop. ``sender`` is the process that sent it, by the kernel's word; None for another
    user's.
    """

    kind: str
    phase: int
    index: int
    time_s: float
    epochs: int | None = None
    steps: int | None = None
    samples: int | None = None
    process: int = 0
    pass_number: int | None = None
    validation: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    by: str | None = None
    answer: int | None = None
    monotonic_s: float | None = None
    sender: int | None = None


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
            process=plain.get("process", 0),
            pass_number=plain.get("pass_number"),
            validation=plain.get("validation", False),
            metrics={name: float(value) for name, value in plain.get("metrics", {}).items() if _is_number(value)},
            by=plain.get("by"),
            monotonic_s=plain.get("monotonic_s"),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return mark if _is_sound(mark) else None


def _is_sound(mark: Mark) -> bool:
    counts = (mark.phase, mark.index, mark.process, mark.epochs, mark.steps, mark.samples, mark.pass_number)
    return (
        type(mark.kind) is str
        and mark.kind in {"epoch_begin", "epoch_end", "stopped"}
        and all(count is None or (type(count) is int and 0 <= count <= _MOST) for count in counts)
        and None not in {mark.phase, mark.index, mark.process}
        and type(mark.validation) is bool
        and _is_number(mark.time_s)
        and mark.time_s >= 0
        and (mark.monotonic_s is None or _is_number(mark.monotonic_s))
        and (mark.by is None or (type(mark.by) is str and len(mark.by) <= _LONGEST_WORD))
    )


def _is_number(value: object) -> bool:
    return type(value) in {int, float} and -_MOST <= value <= _MOST  # type: ignore[operator] # NaN is in no range


class EpochLog:
    """Pairs begin and end marks; an end without its begin is no epoch."""

    def __init__(self, meter: EnergyMeter) -> None:
        self._meter = meter
        self._open: dict[tuple[int, ...], tuple[Mark, Reading | None]] = {}
        self._phases: dict[tuple[int, int], int] = {}
        self.total_epochs: int | None = None

    def add(self, mark: Mark) -> Epoch | None:
        """Take a mark, with the meter's last sample taken just after it; the finished epoch on its end mark."""
        key = _key_of(mark)
        if mark.kind == "epoch_begin":
            if mark.pass_number is None:
                self.total_epochs = mark.epochs
            self._open[key] = (mark, self._meter.at(mark.time_s))
            while len(self._open) > _MOST_OPEN:  # epochs that were broken off
                del self._open[next(iter(self._open))]
            return None
        begun = self._open.pop(key, None) if mark.kind == "epoch_end" else None
        if begun is None or mark.time_s < begun[0].time_s:
            return None
        begin, reading = begun
        spent = spent_between(reading, self._meter.at(mark.time_s))
        return Epoch(
            phase=self._phases.setdefault((mark.process, mark.phase), len(self._phases)),
            index=mark.index,
            started_at=begin.time_s,
            ended_at=mark.time_s,
            steps=mark.steps,
            samples=mark.samples,
            gpu_energy_j=spent.energy_j,
            validation=mark.validation,
            gpu_energy_counter_j=spent.counter_j,
            gpu_energy_integral_j=spent.integral_j,
        )


def _key_of(mark: Mark) -> tuple[int, ...]:
    if mark.pass_number is not None:
        return (mark.process, mark.pass_number)
    return (mark.process, mark.phase, mark.index)
