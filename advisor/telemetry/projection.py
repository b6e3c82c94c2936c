"""The run's total as seen from inside it, after every epoch.

Once epochs are stable (``stability.py``; at the latest from the tenth epoch on, as in arXiv 2307.05520, section 4),
three estimators speak. The paper's two, over a window of up to five stable epochs: ``power``, E = mean power x
duration, and ``epoch_energy``, E = energy so far + mean energy of the window x epochs to come. And ``stable``: like the
latter, over the later half of the stable epochs. Before that ``early`` does: the epochs seen so far, weighed against
the offline prediction.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from advisor.prediction.prediction import Estimate
from advisor.telemetry.stability import stable_from
from advisor.telemetry.trace import Epoch, Projection

WINDOW = 5
# The paper's: stable from the tenth epoch on, whatever they look like.
STABLE_AT_LAST = 9
# A training repeats itself or it does not: what was long ago says less, and a day has many short epochs.
_MOST_REMEMBERED = 50
_SHORTEST_GAP_S = 1.0
_Z_90 = 1.645
# Relative errors (one standard deviation) of what epochs say of those to come, found on the recorded series of
# docs/benchmarks/projection.md: the first holds graph building and caching; the level wanders even where it is stable.
_FIRST_EPOCH, _NEXT_EPOCHS, _WANDER, _WANDER_OF_ONE = 0.3, 0.08, 0.015, 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What was predicted for an epoch on this node before the run (J, s), and how many epochs there were to be."""

    epoch_energy_j: Estimate
    epoch_duration_s: Estimate
    epochs: int | None


@dataclass(slots=True)
class _Seen:
    """The epochs of one phase so far, with the validations that followed them."""

    epochs: deque[tuple[float, float]]
    first: int = 0

    def add(self, energy_j: float, duration_s: float) -> None:
        if len(self.epochs) == self.epochs.maxlen:
            self.first += 1
        self.epochs.append((energy_j, duration_s))

    @property
    def count(self) -> int:
        return self.first + len(self.epochs)

    def stable(self) -> Sequence[tuple[float, float]]:
        """The stable epochs, none while there are none; never the first, which holds graph building and caching."""
        epochs = list(self.epochs)
        skipped = 0 if self.first else 1
        found = stable_from(epochs[skipped:])
        begin = None if found is None else found + skipped
        if begin is None and self.count > STABLE_AT_LAST + 1:
            begin = max(STABLE_AT_LAST - self.first, len(epochs) - WINDOW)
        return [] if begin is None else epochs[begin:]


class Projector:
    """Takes epochs as they end; says what the run will cost.

    A later phase is not known before it begins: until then a projection goes to the end of the phase at hand.
    """

    def __init__(self, expected: Expectation | None = None) -> None:
        self._expected = expected
        self._seen = _Seen(deque(maxlen=_MOST_REMEMBERED))
        self._spent_j = 0.0
        self._spent_s = 0.0
        self._phase = -1
        self._projected_at = -math.inf
        self._last: tuple[float, float] | None = None

    def add(
        self, epoch: Epoch, total_epochs: int | None, so_far: tuple[float, float] | None = None
    ) -> tuple[Projection, ...]:
        """All projections after ``epoch``, the best last; at most once a second.

        With ``so_far``, what the run has used by now (J, s), start-up included, an epoch reaches from the end of the
        one before to its own, so that validation and whatever else comes between is in it. None without GPU energy,
        and where neither ``total_epochs`` nor the expectation says how many there will be.
        """
        if epoch.gpu_energy_j is None:
            return ()
        if epoch.validation and so_far is not None:
            return ()
        energy_j, duration_s = epoch.gpu_energy_j, epoch.ended_at - epoch.started_at
        self._spent_j += energy_j
        self._spent_s += duration_s
        if epoch.validation:
            self._add_to_the_last(energy_j, duration_s)
            return ()
        if epoch.phase != self._phase:  # other layers, other data: what the last phase cost says little of this one
            self._expected = self._expected if self._phase < 0 else None
            self._phase, self._last = epoch.phase, None
            self._seen = _Seen(deque(maxlen=_MOST_REMEMBERED))
        if so_far is not None:
            if self._last is not None:
                energy_j = max(so_far[0] - self._last[0], 0.0)
                duration_s = max(so_far[1] - self._last[1], 0.0)
            self._last, (self._spent_j, self._spent_s) = so_far, so_far
        self._seen.add(energy_j, duration_s)
        if total_epochs is None and self._expected is not None:
            total_epochs = self._expected.epochs
        # By index, not by count: a resumed training begins at a later one.
        to_come = 0 if total_epochs is None else total_epochs - epoch.index - 1
        if to_come <= 0 or epoch.ended_at - self._projected_at < _SHORTEST_GAP_S:
            return ()
        self._projected_at = epoch.ended_at
        return tuple(self._project(epoch, to_come))

    def _add_to_the_last(self, energy_j: float, duration_s: float) -> None:
        """A validation after an epoch is part of what an epoch costs."""
        if self._seen.epochs:
            last_j, last_s = self._seen.epochs.pop()
            self._seen.epochs.append((last_j + energy_j, last_s + duration_s))

    def _project(self, epoch: Epoch, to_come: int) -> Iterator[Projection]:
        stable = self._seen.stable()
        if not stable:
            epoch_j, epoch_s = self._early()
            yield self._projection("early", epoch, to_come, epoch_j=epoch_j, epoch_s=epoch_s, first=None)
            return
        # Of the phase's epochs by index, so that a resumed training names its own.
        first = epoch.index + 1 - len(stable)
        window = stable[-WINDOW:]
        by_window = _mean_epoch([energy_j for energy_j, _duration_s in window], to_come)
        window_s = statistics.fmean(duration_s for _energy_j, duration_s in window)
        by_energy = self._projection("epoch_energy", epoch, to_come, epoch_j=by_window, epoch_s=window_s, first=first)
        yield self._by_power(by_energy, window)
        yield by_energy
        later = stable[-max(WINDOW, len(stable) // 2) :]  # a slow drift may hide in what the test calls level
        mean_s = statistics.fmean(duration_s for _energy_j, duration_s in later)
        by_later = _mean_epoch([energy_j for energy_j, _duration_s in later], to_come)
        yield self._projection("stable", epoch, to_come, epoch_j=by_later, epoch_s=mean_s, first=first)

    def _by_power(self, by_energy: Projection, window: Sequence[tuple[float, float]]) -> Projection:
        """Mean power is applied to the warm-up too, whose energy is known: the difference is an error of its own."""
        window_j, window_s = (sum(values) for values in zip(*window, strict=True))
        energy_j = window_j / window_s * (by_energy.duration_s or 0.0) if window_s > 0 else by_energy.energy_j
        apart_j = abs(energy_j - by_energy.energy_j)
        return Projection(
            time_s=by_energy.time_s,
            method="power",
            energy_j=energy_j,
            energy_low_j=max(energy_j - (by_energy.energy_j - by_energy.energy_low_j) - apart_j, self._spent_j),
            energy_high_j=energy_j + (by_energy.energy_high_j - by_energy.energy_j) + apart_j,
            duration_s=by_energy.duration_s,
            epochs_done=by_energy.epochs_done,
            epochs_in_all=by_energy.epochs_in_all,
            stable_from=by_energy.stable_from,
        )

    def _early(self) -> tuple[Estimate, float]:
        """An epoch to come, J and s: of the seen ones and the expectation, each by its precision, in logarithms."""
        seen = list(self._seen.epochs)[1:][-WINDOW:] or list(self._seen.epochs)
        error = _NEXT_EPOCHS if self._seen.count > 1 else _FIRST_EPOCH
        expected = self._expected
        energies, durations = (list(values) for values in zip(*seen, strict=True))
        energy = _weighed(energies, error, expected.epoch_energy_j if expected else None)
        return energy, _weighed(durations, error, expected.epoch_duration_s if expected else None).value

    def _projection(
        self, method: str, epoch: Epoch, to_come: int, *, epoch_j: Estimate, epoch_s: float, first: int | None
    ) -> Projection:
        return Projection(
            time_s=epoch.ended_at,
            method=method,
            energy_j=self._spent_j + to_come * epoch_j.value,
            energy_low_j=self._spent_j + to_come * max(epoch_j.low, 0.0),
            energy_high_j=self._spent_j + to_come * epoch_j.high,
            duration_s=self._spent_s + to_come * epoch_s,
            epochs_done=epoch.index + 1,
            epochs_in_all=epoch.index + 1 + to_come,
            stable_from=first,
        )


def _mean_epoch(energies_j: Sequence[float], to_come: int) -> Estimate:
    """The mean of ``to_come`` epochs more: they scatter as those seen do, around a level that wanders."""
    mean_j = statistics.fmean(energies_j)
    scatter = statistics.variance(energies_j) * (1 / to_come + 1 / len(energies_j)) if len(energies_j) > 1 else 0.0
    # Few epochs know their own scatter badly: Student's t, by its usual expansion for a 95% quantile.
    wander = _WANDER + _WANDER_OF_ONE / len(energies_j)
    freedom = max(len(energies_j) - 1, 1)
    half_j = math.sqrt(scatter * (_Z_90 * (1 + 1.2 / freedom)) ** 2 + (_Z_90 * wander * mean_j) ** 2)
    return Estimate(mean_j, mean_j - half_j, mean_j + half_j)


def _weighed(seen: Sequence[float], error: float, expected: Estimate | None) -> Estimate:
    """Mean of what was seen and what was expected; what is not above 0 has no logarithm and no say."""
    mean = statistics.fmean(seen)
    if mean <= 0:
        return expected or Estimate(mean, mean, mean)
    value, variance = math.log(mean), error**2
    if expected is not None and 0 < expected.low <= expected.value <= expected.high < math.inf:
        prior = (math.log(expected.high / expected.low) / (2 * _Z_90)) ** 2
        share = prior / (prior + variance)
        value = share * value + (1 - share) * math.log(expected.value)
        variance *= share
    half = _Z_90 * math.sqrt(variance)
    return Estimate(math.exp(value), math.exp(value - half), math.exp(value + half))
