"""How wide an interval must be: scores of withheld groups, in units of the process's own standard deviation.

Every group (a setting, a network on a machine, a machine, a GPU model, a study) is predicted from all the others, which
a Gaussian process gives in closed form from one factorisation. The 90% quantile of |error| / standard deviation over
the groups of one kind is the half-width for predictions that far from the data (Mondrian: one width for each kind).
Each group counts the same however many rows it has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from advisor.prediction import process
from advisor.prediction.features import Array
from advisor.prediction.model import MEASURES, NEW_BATCH, NEW_GPU, NEW_MACHINE, NEW_NETWORK, NOVELTIES, SEEN

COVERAGE = 0.90
_NORMAL = 1.645
# A width from few groups is pulled towards the normal quantile with the weight of this many groups.
_PRIOR_GROUPS = 8.0
_LEAST, _MOST = 0.8, 4.0


def left_out(fitted: process.Fitted, groups: NDArray[np.int64]) -> tuple[Array, Array]:
    """Error and standard deviation of every row predicted without its group, its noise included."""
    inverse = fitted.inverse_factor.T @ fitted.inverse_factor
    errors, stds = np.zeros(len(groups)), np.zeros(len(groups))
    for group in np.unique(groups):
        which = np.flatnonzero(groups == group)
        covariance = np.linalg.inv(inverse[np.ix_(which, which)])
        errors[which] = covariance @ fitted.weights[which]
        stds[which] = np.sqrt(np.maximum(np.diag(covariance), 1e-10))
    return errors, stds


def _codes(*labels: process.Labels) -> NDArray[np.int64]:
    joined = labels[0]
    for more in labels[1:]:
        joined = np.char.add(np.char.add(joined, "|"), more)
    return np.unique(joined, return_inverse=True)[1].astype(np.int64)


def groupings(rows: process.Rows) -> dict[int, NDArray[np.int64]]:
    """For each kind of novelty, the groups whose withholding makes it."""
    return {
        NEW_BATCH: _codes(rows.setting),
        NEW_NETWORK: _codes(rows.network),
        NEW_MACHINE: _codes(rows.study),
        NEW_GPU: _codes(rows.gpu),
    }


def interval_widths(
    time: process.Fitted, timed: NDArray[np.int64], power: process.Fitted, powered: NDArray[np.int64],
    memory: process.Fitted,
) -> Array:  # fmt: skip
    """Half-widths in standard deviations, (measures x novelties)."""
    widths = np.full((len(MEASURES), len(NOVELTIES)), _NORMAL)
    for measure, fitted in (("time", time), ("power", power), ("memory", memory)):
        for kind, groups in groupings(fitted.rows).items():
            errors, stds = left_out(fitted, groups)
            widths[MEASURES.index(measure), kind] = quantile(np.abs(errors) / stds, groups)
    _, in_time, in_power = np.intersect1d(timed, powered, return_indices=True)
    energy = MEASURES.index("energy")
    for kind in groupings(time.rows):
        time_error, time_std = left_out(time, groupings(time.rows)[kind])
        power_error, power_std = left_out(power, groupings(power.rows)[kind])
        # From logit to log: d log P / d logit = 1 - P / ceiling, taken at the mean share of the withheld rows.
        slope = 0.6
        error = time_error[in_time] + slope * power_error[in_power]
        std = np.hypot(time_std[in_time], slope * power_std[in_power])
        widths[energy, kind] = quantile(np.abs(error) / std, groupings(time.rows)[kind][in_time])
    widths[:, SEEN] = _NORMAL
    return widths


def quantile(scores: Array, groups: NDArray[np.int64]) -> float:
    """The 90% quantile of scores with every group weighing the same, shrunk to the normal's where groups are few."""
    if not len(scores):
        return _NORMAL
    _, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weights = 1.0 / np.sqrt(counts[codes])
    order = np.argsort(scores)
    reached = np.cumsum(weights[order]) / weights.sum()
    found = float(scores[order][np.searchsorted(reached, COVERAGE)])
    share = len(counts) / (len(counts) + _PRIOR_GROUPS)
    return float(np.clip(share * found + (1 - share) * _NORMAL, _LEAST, _MOST))
