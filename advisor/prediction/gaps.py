"""By how much a prediction may be off because of facts that were filled in: what moving each would change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from advisor.prediction import physics
from advisor.prediction.features import Array, Table
from advisor.prediction.filled import FOLLOWS, GUESSED
from advisor.prediction.memory import log_gpu_memory
from advisor.prediction.power_scale import power_logit

# What a fact that moves no column of the table adds to the standard deviation of log time and of the power's logit.
_SAMPLES_STD = 0.25
_TDP_STD = 0.4
_HALF_BYTES, _CAPPED_BELOW, _CAPPED_STD = 2.0, 5.0, 0.3


def gap_variances(parameters: Array, memory_parameters: Array, table: Table) -> tuple[Array, Array, Array]:
    """Variances of log time, of the power's logit and of log GPU memory that guessed facts add, row by row.

    Each guessed fact is moved by its standard deviation, up and down, through the physical mean.
    """
    variances = np.zeros((3, len(table)))
    names = {name for setting in table.settings for name in setting.unknown}
    if not names:
        return variances[0], variances[1], variances[2]

    def at(moved: Table) -> Array:
        mean = physics.evaluate(parameters, moved)
        logit = power_logit(np.exp(mean.log_power_w), moved.tdp_w)
        return np.stack([mean.log_epoch_s, logit, log_gpu_memory(memory_parameters, moved)])

    here = at(table)
    for name in sorted(names & GUESSED.keys()):
        for sign in (-1.0, 1.0):
            there = at(_moved(table, name, sign * GUESSED[name][1]))
            variances += (there - here) ** 2 / 2
    time, power, memory = variances
    time += _SAMPLES_STD**2 * _where(table, "train_samples")
    power += _TDP_STD**2 * _where(table, "gpu tdp_w")
    return time, power, memory


def _moved(table: Table, name: str, off: float) -> Table:
    """The table with a guessed fact, and the guesses that follow it, moved by so much in the logarithm."""
    guessed = _where(table, name)
    moved = table
    for fact in (name, *FOLLOWS.get(name, ())):
        factor = np.where(guessed & _where(table, fact), np.exp(off), 1.0)
        moved = replace(moved, **{column: getattr(moved, column) * factor for column in GUESSED[fact][0]})
    return moved


def half_precision_variance(table: Table, known_gpus: NDArray[np.str_]) -> Array:
    """Variance of log time for half precision on a consumer board that was never measured.

    Data sheets cap its rate with float32 sums at two to four times float32's. Published rates of the RTX 3090 and 4090
    come far nearer to that cap than those of data-centre boards to theirs, by up to 1.7 times; the one such board that
    the prior's data holds does not.
    """
    capped = (table.element_bytes == _HALF_BYTES) & (table.peak < _CAPPED_BELOW * table.fp32)
    unmeasured = ~np.isin([setting.gpu.name for setting in table.settings], known_gpus)
    return np.asarray(_CAPPED_STD**2 * (capped & unmeasured))


def _where(table: Table, name: str) -> NDArray[np.bool_]:
    return np.array([name in setting.unknown for setting in table.settings])
