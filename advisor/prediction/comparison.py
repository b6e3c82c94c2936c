"""Compares placements of one workload with each other: which costs less, by how much, and how sure that is.

Errors of one workload on two GPUs go up and down together: what is not known of the network, of the physical constants
or of the data's size moves both. So a ratio of two predictions is known far better than either, and two wide intervals
say little of which placement is the better one. Here the covariance of the predictions is kept, and how wide an
interval of a ratio must be comes from withheld pairs (``advisor/training/pairs.py``), as the widths of single
predictions do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.prediction import process
from advisor.prediction.features import Array
from advisor.prediction.model import FEW_RUNS, NEW_GPU, NEW_MACHINE, NOVELTIES, PAIR_MEASURES, PredictionModel
from advisor.prediction.prediction import Estimate
from advisor.prediction.predictor import Forecast, Outlook

Indices = NDArray[np.int64]

NORMAL_90 = 1.645
_LEVEL = np.array([{FEW_RUNS: 1, NEW_MACHINE: 2, NEW_GPU: 2}.get(kind, 0) for kind in range(len(NOVELTIES))])
# Of more rows than this, those that cost least at best are compared jointly; the others as if they shared nothing.
MOST_JOINT = 150
_DRAWS = 2000
_STEADY = 1e-3  # of the mean variance, on the diagonal: rows that share nearly everything have no stable weights
_MOST_REGRET = 20.0  # as a factor; beyond, a draw of a wide distribution's tail would outweigh all others


def pair_kinds(novelty: Indices, other: Indices | int) -> Indices:
    """How well the two machines of each pair are known: indices into ``PAIR_KINDS``."""
    level, of_other = _LEVEL[novelty], _LEVEL[other]
    both_new = (level == _LEVEL[NEW_GPU]) & (of_other == _LEVEL[NEW_GPU])
    return np.asarray(np.maximum(level, of_other) + both_new)


@dataclass(frozen=True, slots=True)
class Aim:
    """What is compared, row by row: its logarithm, and by how much it moves with log time and with log power.

    For energy both weights are 1; for time 1 and 0; for energy times time 2 and 1.
    """

    log_value: Array
    time: Array
    power: Array
    measure: str = "energy"


@dataclass(frozen=True, slots=True)
class Contest:
    """For each placement that is offered: the share that choosing it is expected to lose, and whether it is least.

    ``regret`` 0.1 reads: costs a tenth more than the best in the mean. ``least`` is a probability.
    """

    regret: Array
    least: Array


@dataclass(frozen=True, slots=True)
class Joint:
    """Predictions of one workload together.

    ``rows`` says which row each placement is; placements may share one. ``same`` numbers those that differ in RAM or
    CPUs alone.
    Of each row: log epoch duration in s, log mean power of all its GPUs in W, and how new its machine is. ``time`` and
    ``power`` are covariances of these logarithms, ``shared`` (causes x rows) what guessed facts move time and power by,
    ``apart`` (2 x rows) the variances of time and power that two unknown partitions with the same GPU do not share.
    """

    rows: Indices
    same: Indices
    log_time_s: Array
    log_power_w: Array
    time: Array
    power: Array
    shared_time: Array
    shared_power: Array
    apart: Array
    novelty: Indices
    widths: Array

    def energy(self) -> Aim:
        """Energy of an epoch, and so of the run."""
        return self.aim(self.log_time_s + self.log_power_w, 1.0, 1.0)

    def aim(self, log_value: Array, time: Array | float, power: Array | float, measure: str = "energy") -> Aim:
        """Something else that is made of time and power."""
        ones = np.ones(len(self.log_time_s))
        return Aim(log_value, time * ones, power * ones, measure)

    def covariance(self, aim: Aim) -> Array:
        """The covariance of what is compared, (rows x rows), before it is widened to what withheld pairs ask for."""
        causes = aim.time * self.shared_time + aim.power * self.shared_power
        total = np.outer(aim.time, aim.time) * self.time + np.outer(aim.power, aim.power) * self.power
        return np.asarray(total + causes.T @ causes)

    def contest(self, aim: Aim, offered: Sequence[int]) -> Contest:
        """Let the offered placements compete; ``offered`` are positions in ``rows``.

        Placements that share a row are alike to the model, and share the probability of being the least.
        """
        contenders, place, count = np.unique(self.rows[list(offered)], return_inverse=True, return_counts=True)
        drawn = self._draws(aim, contenders)
        best = drawn.min(1, keepdims=True)
        value = np.exp(best) * np.exp(np.minimum(drawn - best, np.log(_MOST_REGRET)))
        regret = value.mean(0) / np.exp(best).mean() - 1.0
        least = np.bincount(drawn.argmin(1), minlength=len(contenders)) / len(drawn)
        return Contest(regret=regret[place], least=(least / count)[place])

    def over(self, aim: Aim, first: int) -> list[Estimate]:
        """Every placement's value divided by that of the placement ``first``, with the ratio's own 90% interval."""
        reference = int(self.rows[first])
        ratio = aim.log_value - aim.log_value[reference]
        half = (
            NORMAL_90
            * self._factors(aim, np.arange(len(ratio)), reference)
            * np.sqrt(self._differences(aim, reference))
        )
        half[reference] = 0.0
        apart = aim.time**2 * self.apart[0] + aim.power**2 * self.apart[1]
        twin = float(self.widths[PAIR_MEASURES.index(aim.measure), pair_kinds(self.novelty, self.novelty)[reference]])
        half_of_twin = twin * float(np.sqrt(2.0 * apart[reference]))
        value, low, high = np.exp(ratio), np.exp(ratio - half), np.exp(ratio + half)
        of_rows = [Estimate(*ends) for ends in zip(value.tolist(), low.tolist(), high.tolist(), strict=True)]
        elsewhere = Estimate(1.0, float(np.exp(-half_of_twin)), float(np.exp(half_of_twin)))
        found = [of_rows[row] for row in self.rows.tolist()]
        for i in np.flatnonzero(self.rows == reference).tolist():
            found[i] = Estimate(1.0, 1.0, 1.0) if self.same[i] == self.same[first] else elsewhere
        return found

    def _differences(self, aim: Aim, reference: int) -> Array:
        """Variance of each row's difference from the reference."""
        covariance = self.covariance(aim)
        own = np.diag(covariance)
        return np.asarray(np.maximum(own + own[reference] - 2.0 * covariance[:, reference], 0.0))

    def _factors(self, aim: Aim, rows: Indices, reference: int) -> Array:
        """By how much the standard deviation of each row's difference from the reference is to be widened."""
        kinds = pair_kinds(self.novelty[rows], int(self.novelty[reference]))
        return np.asarray(self.widths[PAIR_MEASURES.index(aim.measure), kinds] / NORMAL_90)

    def _draws(self, aim: Aim, contenders: Indices) -> Array:
        """Joint draws of the contenders' logarithms, (draws x contenders), always the same ones.

        What moves all of them together is taken out: the best estimate of their common level. What is left is widened
        to what withheld pairs ask for, for each contender beside the one whose machine is known best.
        """
        covariance = self.covariance(aim)[np.ix_(contenders, contenders)]
        steady = covariance + (_STEADY * np.mean(np.diag(covariance)) + 1e-12) * np.eye(len(contenders))
        weights = np.linalg.solve(steady, np.ones(len(contenders)))
        apart = np.eye(len(contenders)) - weights / weights.sum()
        known_best = contenders[np.argmin(_LEVEL[self.novelty[contenders]])]
        widened = self._factors(aim, contenders, int(known_best))[:, None] * apart
        size, directions = np.linalg.eigh(widened @ covariance @ widened.T)
        normal = np.random.default_rng(0).standard_normal((_DRAWS // 2, len(contenders)))
        moved = np.concatenate([normal, -normal]) @ (directions * np.sqrt(np.maximum(size, 0.0))).T
        level = aim.log_value[contenders]
        return np.asarray(level - level.min() + moved)


def joint_of(model: PredictionModel, outlook: Outlook) -> Joint:
    """What the predictions of an outlook have in common."""
    numbers: dict[tuple[object, ...], int] = {}
    same = []
    for where in (found.placement for found in outlook.predictions):
        key = (where.partition, where.gres_type, where.gpu, where.gpus, where.nodes)
        same.append(numbers.setdefault(key, len(numbers)))
    return joint_of_rows(model, outlook.forecast, outlook.rows, same)


def joint_of_rows(model: PredictionModel, seen: Forecast, rows: Sequence[int], same: Sequence[int]) -> Joint:
    """What a forecast's rows have in common; ``rows`` and ``same`` are as in ``Joint``."""
    settings = seen.table.settings
    slope = seen.power_slope
    shared_time, shared_power = seen.gaps.shared[:, 0], seen.gaps.shared[:, 1] * slope
    optimistic = seen.log_epoch_s + np.log(seen.power_w) - np.hypot(seen.time_std, seen.log_power_std)
    which = np.sort(np.argsort(optimistic)[:MOST_JOINT])
    same_gpu = np.array([[settings[i].gpu.name == settings[j].gpu.name for j in which] for i in which], dtype=bool)
    time, power = np.diag(seen.time_std**2), np.diag(seen.log_power_std**2)
    own = np.sqrt(seen.gaps.own[:, which])
    time[np.ix_(which, which)] = seen.time.covariance(which) + same_gpu * np.outer(own[0], own[0])
    of_power = seen.power.covariance(which) + same_gpu * np.outer(own[1], own[1])
    power[np.ix_(which, which)] = of_power * np.outer(slope[which], slope[which])
    left = np.setdiff1d(np.arange(len(settings)), which)
    time[left, left] -= (shared_time[:, left] ** 2).sum(0)
    power[left, left] -= (shared_power[:, left] ** 2).sum(0)
    return Joint(
        rows=np.asarray(rows, dtype=np.int64),
        same=np.asarray(same, dtype=np.int64),
        log_time_s=seen.log_epoch_s,
        log_power_w=np.log(seen.power_w * seen.table.gpus),
        time=time,
        power=power,
        shared_time=shared_time,
        shared_power=shared_power,
        apart=np.stack(
            [
                process.own_variance(seen.time.hyper, seen.time.rows),
                process.own_variance(seen.power.hyper, seen.power.rows) * slope**2,
            ]
        ),
        novelty=seen.novelty,
        widths=model.pair_widths,
    )
