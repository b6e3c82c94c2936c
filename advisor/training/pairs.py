"""How wide the interval of a ratio must be: scores of withheld pairs of placements of one workload.

Two placements of a workload are predicted from runs that have neither: from other networks on the same machines, from
few runs of the machines, without one of the machines, without the whole study that both are of. The covariance of
what was withheld comes from the same closed form as its errors, so a pair's score is the error of the ratio's logarithm
in units of the standard deviation that would have been given for it. Studies weigh the same, and networks in a study.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.prediction import process
from advisor.prediction.comparison import NORMAL_90
from advisor.prediction.features import Array, Setting
from advisor.prediction.model import PAIR_KINDS, PAIR_MEASURES
from advisor.training.conformal import Indices, Spreads, left_out_jointly, quantile

KNOWN, FEW, ONE_NEW, BOTH_NEW = range(len(PAIR_KINDS))
_KEPT = (1, 3)  # of the settings of each machine that is hardly known
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows that have one measure: positions among the process's rows, what they are of, and their withheld errors.

    ``time`` and ``power`` are positions in each process, of the same rows; ``power`` is empty where only time counts.
    """

    rows: process.Rows
    workload: process.Labels
    time: Indices
    power: Indices
    slope: Array


def workload_labels(settings: tuple[Setting, ...]) -> process.Labels:
    """What is the same training wherever it runs: everything of a setting but its machine; batch sizes are per GPU."""
    return np.array([
        f"{s.study}|{s.framework}|{s.network}|{s.precision}|{s.batch_size:g}|{s.input_elements:.3g}"
        f"|{s.forward_flops:.2g}|{s.train_samples:.2g}|{s.trainable_share:.2g}"
        for s in settings
    ])  # fmt: skip


def pair_widths(time: process.Fitted, power: process.Fitted, spreads: Spreads, workload: process.Labels) -> Array:
    """Half-widths in standard deviations, (pair measures x pair kinds)."""
    both, in_time, in_power = np.intersect1d(spreads.timed, spreads.powered, return_indices=True)
    nothing = np.zeros(0, dtype=np.int64)
    every = np.arange(len(time.rows))
    of = {
        "time": Measured(time.rows, workload[spreads.timed], every, nothing, np.zeros(0)),
        "energy": Measured(time.rows.take(in_time), workload[both], in_time, in_power, spreads.slope[both]),
    }
    widths = np.full((len(PAIR_MEASURES), len(PAIR_KINDS)), NORMAL_90)
    for place, measure in enumerate(PAIR_MEASURES):
        for kind in range(len(PAIR_KINDS)):
            scores, networks, studies = _scores(time, power, of[measure], kind)
            widths[place, kind] = _width(quantile(scores, networks, studies), len(np.unique(studies)))
    return widths


def _width(asked: float, studies: int) -> float:
    """What the scores ask for; where that is less than a normal's width, believed as far as there are studies."""
    return asked if asked >= NORMAL_90 else (studies * asked + NORMAL_90) / (studies + 1)


def _scores(
    time: process.Fitted, power: process.Fitted, of: Measured, kind: int
) -> tuple[Array, process.Labels, process.Labels]:
    """|error| / standard deviation of the withheld pairs of one kind, with the network and the study of each."""
    chooser = np.random.default_rng(0)
    scores, networks, studies = [np.zeros(0)], [], []
    groups = [(out, pairs) for out, pairs in _withheld(of, kind, chooser) if len(pairs)]
    of_time = left_out_jointly(time, [of.time[out] for out, _ in groups])
    of_power = left_out_jointly(power, [of.power[out] for out, _ in groups]) if len(of.power) else None
    for out, pairs in groups:
        errors, covariance = next(of_time)
        if of_power is not None:
            power_errors, power_covariance = next(of_power)
            errors = errors + of.slope[out] * power_errors
            covariance = covariance + np.outer(of.slope[out], of.slope[out]) * power_covariance
        i, j = pairs.T
        variance = covariance[i, i] + covariance[j, j] - 2.0 * covariance[i, j]
        scores.append(np.abs(errors[i] - errors[j]) / np.sqrt(np.maximum(variance, 1e-10)))
        networks += of.rows.network[out[i]].tolist()
        studies += of.rows.study[out[i]].tolist()
    return np.concatenate(scores), np.array(networks, dtype=np.str_), np.array(studies, dtype=np.str_)


def _withheld(of: Measured, kind: int, chooser: np.random.Generator) -> Iterator[tuple[Indices, Indices]]:
    """Groups to withhold for one kind: the rows to leave out, and the pairs among them that are scored."""
    rows = of.rows
    if kind == KNOWN:
        for network in np.unique(rows.network[rows.network != ""]):
            yield _with_pairs(of, np.flatnonzero(rows.network == network))
    elif kind == FEW:
        for study in np.unique(rows.study):
            mine = np.flatnonzero(rows.study == study)
            for kept in _KEPT:
                stays = np.concatenate([
                    chooser.permutation(mine[rows.site[mine] == site])[:kept] for site in np.unique(rows.site[mine])
                ])  # fmt: skip
                yield _with_pairs(of, np.setdiff1d(mine, stays))
    elif kind == ONE_NEW:
        fold = chooser.integers(_FOLDS, size=len(rows))
        _, network = np.unique(rows.network, return_inverse=True)
        for gpu in np.unique(rows.gpu):
            for k in range(_FOLDS):
                out = np.flatnonzero((rows.gpu == gpu) | (fold[network] == k))
                yield out, _pairs(of, out, rows.gpu[out] == gpu)
    else:
        for study in np.unique(rows.study):
            yield _with_pairs(of, np.flatnonzero(rows.study == study))


def _with_pairs(of: Measured, out: Indices) -> tuple[Indices, Indices]:
    return out, _pairs(of, out, np.ones(len(out), dtype=np.bool_))


def _pairs(of: Measured, out: Indices, wanted: NDArray[np.bool_]) -> Indices:
    """Positions in ``out`` of pairs of one workload on two machines, or numbers of GPUs, of which one is wanted.

    Where not all are wanted, the other of the two must not be.
    """
    found = []
    site, gpus = of.rows.site[out], of.rows.shape[out, -1]
    labels = of.workload[out]
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.flatnonzero(labels[order][1:] != labels[order][:-1]) + 1):
        i, j = np.triu_indices(len(members), 1)
        i, j = members[i], members[j]
        apart = (site[i] != site[j]) | (gpus[i] != gpus[j])
        asked = wanted[i] & wanted[j] if wanted.all() else wanted[i] ^ wanted[j]
        found.append(np.stack([i, j], axis=1)[apart & asked])
    return np.concatenate(found) if found else np.zeros((0, 2), dtype=np.int64)
