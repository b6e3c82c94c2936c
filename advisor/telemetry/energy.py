"""Energy from samples: the card's own counter where it has one, and beside it the integral of sampled power."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.telemetry.trace import Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """Energy of all GPUs since the first sample, J.

    ``counter_j`` is None where a card has no counter, ``integral_j`` where none reports power.
    """

    time_s: float
    counter_j: float | None
    integral_j: float | None


class EnergyMeter:
    """Running totals over the GPUs of one node; keeps two readings, however long the run."""

    def __init__(self) -> None:
        self._first: Sample | None = None
        self._last: Sample | None = None
        self._before: Reading | None = None
        self._now: Reading | None = None
        self._counted_j: float | None = None  # by the counters, when they last could be read

    def add(self, sample: Sample) -> None:
        """Take the next sample; one without GPUs leaves nothing to count."""
        if self._first is None or self._last is None:
            self._first = self._last = sample
            has_power = any(gpu.power_w is not None for gpu in sample.gpus)
            has_counter = bool(sample.gpus) and all(gpu.energy_counter_j is not None for gpu in sample.gpus)
            self._counted_j = 0.0 if has_counter else None
            self._now = Reading(sample.time_s, self._counted_j, 0.0 if has_power else None)
            return
        self._before = self._now
        self._now = Reading(sample.time_s, self._counter_j(sample), self._integral_j(sample))
        self._last = sample

    def at(self, time_s: float) -> Reading | None:
        """The totals at an instant between the last two samples, by interpolation; None before the first sample."""
        if self._now is None or self._before is None or time_s >= self._now.time_s:
            return self._now
        span_s = self._now.time_s - self._before.time_s
        share = min(max((time_s - self._before.time_s) / span_s, 0.0), 1.0) if span_s > 0 else 1.0
        return Reading(
            time_s,
            _between(self._before.counter_j, self._now.counter_j, share),
            _between(self._before.integral_j, self._now.integral_j, share),
        )

    def counted(self) -> tuple[float | None, str]:
        """The energy that counts so far, and which of the two it is: the counter wherever every card has one."""
        if self._now is not None and self._now.counter_j is not None:
            return self._now.counter_j, "nvml_counter"
        if self._now is not None and self._now.integral_j is not None:
            return self._now.integral_j, "nvml_integral"
        return None, "none"

    @property
    def totals(self) -> Reading | None:
        """Both energies so far."""
        return self._now

    def _counter_j(self, sample: Sample) -> float | None:
        """The counters' advance; None where one could not be read just now, and for good once one ran backwards.

        Counters begin anew with the driver. What a card used before is then lost to its counter, not to the integral.
        """
        if self._first is None or self._counted_j is None:
            return None
        total_j = 0.0
        for first, gpu in zip(self._first.gpus, sample.gpus, strict=True):
            if first.energy_counter_j is None or gpu.energy_counter_j is None:
                return None
            total_j += gpu.energy_counter_j - first.energy_counter_j
        self._counted_j = total_j if total_j >= self._counted_j else None
        return self._counted_j

    def _integral_j(self, sample: Sample) -> float | None:
        if self._last is None or self._now is None or self._now.integral_j is None:
            return None
        span_s = max(sample.time_s - self._last.time_s, 0.0)
        total_j = self._now.integral_j
        for before, gpu in zip(self._last.gpus, sample.gpus, strict=True):
            powers = [power for power in (before.power_w, gpu.power_w) if power is not None]
            if powers:  # one missed reading is bridged by its neighbour
                total_j += span_s * sum(powers) / len(powers)
        return total_j


@dataclass(frozen=True, slots=True)
class Spent:
    """J between two readings by either way, None where it is not known."""

    counter_j: float | None = None
    integral_j: float | None = None

    @property
    def energy_j(self) -> float | None:
        """The one that counts: the counter's where it is known."""
        return self.integral_j if self.counter_j is None else self.counter_j


def spent_between(begin: Reading | None, end: Reading | None) -> Spent:
    """The energy between two readings."""
    if begin is None or end is None:
        return Spent()
    return Spent(_difference(begin.counter_j, end.counter_j), _difference(begin.integral_j, end.integral_j))


def _difference(begin_j: float | None, end_j: float | None) -> float | None:
    return None if begin_j is None or end_j is None else end_j - begin_j


def _between(low: float | None, high: float | None, share: float) -> float | None:
    return None if low is None or high is None else low + (high - low) * share


def named_source(source: str, sensor: str) -> str:
    """Which energy counts, by the sensor that it is from: ``amdsmi_counter``; all of a replay is ``replay``."""
    if source == "none" or sensor == "nvml":
        return source
    return sensor if sensor == "replay" else source.replace("nvml", sensor)
