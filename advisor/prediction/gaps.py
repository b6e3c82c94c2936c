"""By how much a prediction may be off because of facts that were filled in: what moving each would change."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
# What idle memory and fabric a slice is charged with is a convention; a share by compute slices or by memory differ by
# up to a factor of 1.75 (1g with twice the memory), and the idle part of a board is a tenth to a third of its power.
_SLICE_POWER_STD = 0.35
# Power at full load as a share of the limit: of eleven boards whose training is published between 0.66 and 1.
_TYPICAL_FULL, _FULL_STD, _FULL_MEASURED_STD = 0.9, 0.1, 0.04
_HALF_BYTES, _CAPPED_BELOW, _CAPPED_STD = 2.0, 5.0, 0.3


@dataclass(frozen=True, slots=True)
class Gaps:
    """What guessed facts may be off by, on the scales of the processes.

    ``shared`` is (causes x 3 x rows): by how much one standard deviation of each guessed fact of the workload moves log
    time, the power's logit and log GPU memory; it moves all rows together. ``own`` (3 x rows) are the variances that
    each GPU model has for itself.
    """

    shared: Array
    own: Array

    def variances(self) -> Array:
        """Variances of log time, of the power's logit and of log GPU memory, (3 x rows)."""
        return np.asarray((self.shared**2).sum(0) + self.own)


def gaps_of(
    parameters: Array, memory_parameters: Array, table: Table, timed: NDArray[np.str_], powered: NDArray[np.str_]
) -> Gaps:
    """Move each guessed fact by its standard deviation, up and down, through the physical mean.

    ``timed`` and ``powered`` are the GPUs of which runs told the time, and the power.
    """
    own = np.zeros((3, len(table)))
    shared = [np.zeros_like(own)]
    names = {name for setting in table.settings for name in setting.unknown}
    if names:
        here = _at(parameters, memory_parameters, table)
        for name in sorted(names & GUESSED.keys()):
            for sign in (-1.0, 1.0):
                there = _at(parameters, memory_parameters, _moved(table, name, sign * GUESSED[name][1]))
                move = (there - here) / np.sqrt(2.0)
                if name.startswith("gpu "):
                    own += move**2
                else:
                    shared.append(move)
        shared[0][0] = _SAMPLES_STD * _where(table, "train_samples")
        own[1] += _TDP_STD**2 * _where(table, "gpu tdp_w")
    own[0] += half_precision_variance(table, timed)
    own[1] += _slice_power_variance(table) + board_variance(parameters, table, powered)
    return Gaps(np.stack(shared), own)


def _at(parameters: Array, memory_parameters: Array, table: Table) -> Array:
    mean = physics.evaluate(parameters, table)
    logit = power_logit(np.exp(mean.log_power_w), table.tdp_w)
    return np.stack([mean.log_epoch_s, logit, log_gpu_memory(memory_parameters, table)])


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


def _slice_power_variance(table: Table) -> Array:
    """Variance of the power's logit for a MIG slice: boards report one power for all slices, so none was measured."""
    sliced = np.array([" MIG " in setting.gpu.name for setting in table.settings])
    return np.asarray(_SLICE_POWER_STD**2 * sliced)


def board_variance(parameters: Array, table: Table, known_gpus: NDArray[np.str_]) -> Array:
    """Variance of the power's logit for a board whose power at rest or at full load nobody measured.

    Each is moved by its own spread through the physical mean. Of boards with measured runs the process knows both.
    """
    unmeasured = ~np.isin([setting.gpu.name for setting in table.settings], known_gpus)
    full_w = np.where(np.isfinite(table.full_w), table.full_w, _TYPICAL_FULL * table.tdp_w)
    full_std = np.where(np.isfinite(table.full_w), _FULL_MEASURED_STD, _FULL_STD)

    def logit(moved: Table) -> Array:
        return power_logit(np.exp(physics.evaluate(parameters, moved).log_power_w), moved.tdp_w)

    idle = logit(replace(table, idle_w=table.idle_w * np.exp(table.idle_std))) - logit(table)
    known = replace(table, full_w=full_w)
    full = logit(replace(table, full_w=full_w * np.exp(-full_std))) - logit(known)
    return np.asarray(unmeasured * (idle**2 + full**2))


def _where(table: Table, name: str) -> NDArray[np.bool_]:
    return np.array([name in setting.unknown for setting in table.settings])
