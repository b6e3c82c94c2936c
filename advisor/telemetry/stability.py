"""From which epoch on a training repeats itself: a change-point test on epoch duration and mean power.

Binary segmentation: the epochs are split where the means of the two sides differ most; while that difference is
larger than scatter explains, only the later side is kept. What is left at the end is level. Energy needs no test of its
own: it is the product of the two.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

# Fewer epochs can lie level by chance.
FEWEST_STABLE = 3
# A shift below this changes a projection by less than its interval (relative).
TOLERANCE = 0.02
# Standard errors that a shift must exceed: the split is the best of many, so more than the usual two.
_STANDARD_ERRORS = 3.0


def stable_from(epochs: Sequence[tuple[float, float]]) -> int | None:
    """The position of the first epoch of the level end of ``epochs``, given as (energy J, duration s).

    None where fewer than three are level, or an epoch has no energy or duration to speak of.
    """
    if any(energy_j <= 0 or duration_s <= 0 for energy_j, duration_s in epochs):
        return None
    durations = [math.log(duration_s) for _energy_j, duration_s in epochs]
    powers = [math.log(energy_j / duration_s) for energy_j, duration_s in epochs]
    begin = 0
    while len(epochs) - begin >= FEWEST_STABLE:
        change = max(_last_change(powers[begin:]), _last_change(durations[begin:]))
        if change == 0:
            return begin
        begin += change
    return None


def _last_change(values: Sequence[float]) -> int:
    """How many leading values are of another level than the rest; 0 where there is no change."""
    scatter = _scatter(values)
    levels = _without_spikes(values)
    best, at = 0.0, 0
    total, left = sum(levels), 0.0
    for count in range(1, len(values)):
        left += levels[count - 1]
        shift = abs(left / count - (total - left) / (len(values) - count))
        error = scatter * math.sqrt(1 / count + 1 / (len(values) - count))
        excess = shift / max(TOLERANCE, _STANDARD_ERRORS * error)
        if excess > max(best, 1.0):
            best, at = excess, count
    return at


def _without_spikes(values: Sequence[float]) -> list[float]:
    """Running medians of three: one deviating epoch (a checkpoint, a busy disk) is no level of its own, two are."""
    middle = [statistics.median(values[at - 1 : at + 2]) for at in range(1, len(values) - 1)]
    return [values[0], *middle, statistics.median(values[-3:])]


def _scatter(values: Sequence[float]) -> float:
    """The standard deviation of single epochs, from how far each lies off its neighbours' line: drift is no scatter."""
    bends = sorted(abs(values[at - 1] - 2 * values[at] + values[at + 1]) for at in range(1, len(values) - 1))
    return statistics.median_low(bends) / 1.65 if bends else 0.0
