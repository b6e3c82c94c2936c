"""The run's total as seen from inside it: the two online estimators of arXiv 2307.05520, section 4.

With s epochs in all and a window of w stable epochs: E = mean power over the window x duration, and E = energy spent
so far + mean energy of the window x epochs to come. The paper takes w = 5 from the tenth epoch on; runs too short for
that are projected from the second epoch on, because the first holds graph building and data set caching.
"""

from __future__ import annotations

import statistics
from collections import deque

from advisor.telemetry.trace import Epoch, Projection

WINDOW = 5
STABLE_FROM = 9
_FEWEST = 2
# Student's t, one-sided 95%, by degrees of freedom 1 to 4: the window is that small.
_T_95 = {1: 6.31, 2: 2.92, 3: 2.35, 4: 2.13}


class Projector:
    """Takes epochs as they end; says what the run will cost once two or more count as stable.

    A later phase is not known before it begins: until then a projection goes to the end of the phase at hand.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._spent_j = 0.0
        self._spent_s = 0.0
        self._done = 0
        self._phase = -1

    def add(self, epoch: Epoch, total_epochs: int | None) -> tuple[Projection, ...]:
        """Both projections after ``epoch``; none without GPU energy, the phase's epochs in all, or enough of them."""
        if epoch.gpu_energy_j is None:
            return ()
        if epoch.validation:
            self._add_to_the_last(epoch.gpu_energy_j, epoch.ended_at - epoch.started_at)
            return ()
        if epoch.phase != self._phase:  # other layers, other data: what the last phase cost says little of this one
            self._phase, self._done = epoch.phase, 0
            self._recent.clear()
        duration_s = epoch.ended_at - epoch.started_at
        self._spent_j += epoch.gpu_energy_j
        self._spent_s += duration_s
        self._done += 1
        warm_up = STABLE_FROM if total_epochs is not None and total_epochs >= STABLE_FROM + WINDOW else 1
        if self._done > warm_up:
            self._recent.append((epoch.gpu_energy_j, duration_s))
        # By index, not by count: a resumed training begins at a later one.
        to_come = 0 if total_epochs is None else total_epochs - epoch.index - 1
        if to_come <= 0 or len(self._recent) < _FEWEST:
            return ()
        return self._project(epoch.ended_at, to_come)

    def _add_to_the_last(self, energy_j: float, duration_s: float) -> None:
        """A validation after an epoch is part of what an epoch costs."""
        self._spent_j += energy_j
        self._spent_s += duration_s
        if self._recent:
            last_j, last_s = self._recent.pop()
            self._recent.append((last_j + energy_j, last_s + duration_s))

    def _project(self, time_s: float, to_come: int) -> tuple[Projection, ...]:
        energies = [energy_j for energy_j, _duration_s in self._recent]
        durations = [duration_s for _energy_j, duration_s in self._recent]
        duration_s = self._spent_s + to_come * statistics.fmean(durations)
        by_energy_j = self._spent_j + to_come * statistics.fmean(energies)
        by_power_j = sum(energies) / sum(durations) * duration_s if sum(durations) > 0 else by_energy_j
        # Epochs to come scatter as those of the window do, around a mean that the window knows only so well.
        width = len(energies)
        variance = statistics.variance(energies) * (to_come + to_come**2 / width)
        half_j = _T_95[width - 1] * variance**0.5
        return tuple(
            Projection(
                time_s=time_s,
                method=method,
                energy_j=energy_j,
                energy_low_j=max(energy_j - half, self._spent_j),
                energy_high_j=energy_j + half,
                duration_s=duration_s,
            )
            # Mean power is applied to the warm-up too, whose energy is known: the difference is an error of its own.
            for method, energy_j, half in (
                ("epoch_energy", by_energy_j, half_j),
                ("power", by_power_j, half_j + abs(by_power_j - by_energy_j)),
            )
        )
