"""How wide an interval must be: scores of withheld groups, in units of the process's own standard deviation.

Every group (a setting, a network, all but a few runs of a GPU, a GPU, a study) is predicted from all the others, which
a Gaussian process gives in closed form from one factorisation; the physical constants are part of the process, so that
they too are what they would be without the group. The 90% quantile of |error| / standard deviation over the groups of
one kind is the half-width for predictions that far from the data (Mondrian: one width for each kind), and again for
each machine whose own groups can be asked. Studies weigh the same, and groups within a study, however many rows they
have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from advisor.prediction import process
from advisor.prediction.features import Array
from advisor.prediction.model import (
    FEW_RUNS,
    MEASURES,
    NEW_BATCH,
    NEW_GPU,
    NEW_HERE,
    NEW_MACHINE,
    NEW_NETWORK,
    NOVELTIES,
    SEEN,
)

COVERAGE = 0.90
_NORMAL = 1.645
_LEAST, _MOST = 0.4, 6.0
# Where a machine's own groups ask for less than all machines do, all machines weigh as much as this many groups.
_POOLED_GROUPS = 10.0
# Of a machine that none of them knows, fewer studies than this may say that the process is too sure, not that it is
# surer than it thinks.
_STUDIES_THAT_NARROW = 3
_KEPT = (1, 3)  # of the runs of a hardly known machine
_QUANTILES = np.asarray(norm.ppf(0.5 + (np.arange(20) + 0.5) / 40))  # of a normal's size, evenly

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spreads:
    """Which rows of the sample have time and power; what repeats of each differ by; d log power / d logit."""

    timed: Indices
    powered: Indices
    time: Array
    power: Array
    energy: Array
    slope: Array


@dataclass(frozen=True, slots=True)
class Widths:
    """Half-widths in standard deviations: (measures x novelties), and (sites x measures x novelties) of known sites."""

    general: Array
    sites: process.Labels
    of_sites: Array


@dataclass(frozen=True, slots=True)
class Scored:
    """|error| / standard deviation of withheld rows, with the study, the site and the group of each."""

    scores: Array
    study: process.Labels
    site: process.Labels
    group: process.Labels


def left_out(fitted: process.Fitted, groups: Iterator[Indices] | list[Indices]) -> Iterator[tuple[Array, Array]]:
    """Error and standard deviation of the rows of each group when predicted without it, their noise included."""
    for errors, covariance in left_out_jointly(fitted, groups):
        yield errors, np.sqrt(np.maximum(np.diag(covariance), 1e-10))


def left_out_jointly(
    fitted: process.Fitted, groups: Iterator[Indices] | list[Indices]
) -> Iterator[tuple[Array, Array]]:
    """As ``left_out``, with the covariance of the rows of each group in place of their standard deviations."""
    inverse = fitted.inverse_factor.T @ fitted.inverse_factor
    plain = fitted.plain_inverse_factor.T @ fitted.plain_inverse_factor
    for which in groups:
        block = np.ix_(which, which)
        covariance = np.linalg.inv(inverse[block])
        errors = covariance @ fitted.weights[which] + np.linalg.solve(plain[block], fitted.plain_weights[which])
        yield 0.5 * errors, covariance


def interval_widths(time: process.Fitted, power: process.Fitted, memory: process.Fitted, spreads: Spreads) -> Widths:
    """The half-widths that withheld groups ask for."""
    sites = np.unique(np.concatenate([time.rows.site, power.rows.site, memory.rows.site]))
    sites = sites[sites != ""]
    general = np.full((len(MEASURES), len(NOVELTIES)), _NORMAL)
    of_sites = np.tile(general, (len(sites), 1, 1))
    for kind in range(len(NOVELTIES)):
        scored = {
            "time": _scored(time, kind, spreads.time[spreads.timed]),
            "power": _scored(power, kind, spreads.power[spreads.powered]),
            "memory": _scored(memory, kind, np.full(len(memory.rows), np.nan)),
            "energy": _energy_scored(time, power, kind, spreads),
        }
        for measure, found in scored.items():
            place = MEASURES.index(measure)
            general[place, kind] = quantile(found.scores, found.group, found.study)
            if kind in {NEW_MACHINE, NEW_GPU} and len(np.unique(found.study)) < _STUDIES_THAT_NARROW:
                general[place, kind] = max(general[place, kind], _NORMAL)
            for i, site in enumerate(sites):
                of_sites[i, place, kind] = _of_site(found, site, general[place, kind])
    return Widths(general, sites, of_sites)


def withheld_groups(rows: process.Rows, kind: int) -> Iterator[tuple[str, Indices]]:
    """The groups whose withholding makes predictions of this kind, each with its name."""
    if kind == NEW_BATCH:
        yield from _settings_of_known_networks(rows)
    elif kind == NEW_HERE:
        yield from _networks_of_other_machines(rows)
    elif kind == NEW_NETWORK:
        yield from _alike(rows.network)
    elif kind == FEW_RUNS:
        chooser = np.random.default_rng(0)
        for name, which in _alike(rows.gpu):
            for count in _KEPT:
                rest = np.setdiff1d(which, chooser.choice(which, size=min(count, len(which)), replace=False))
                if len(rest):
                    yield f"{name} but {count}", rest
    elif kind in {NEW_MACHINE, NEW_GPU}:
        yield from _alike(rows.gpu)
        yield from _alike(np.where(rows.study == process.HERE, rows.site, rows.study))


def _settings_of_known_networks(rows: process.Rows) -> Iterator[tuple[str, Indices]]:
    """Settings of networks that their machine knows in other settings too."""
    pair = np.char.add(np.char.add(rows.site, "|"), rows.network)
    for name, which in _alike(rows.setting):
        if (pair == pair[which[0]]).sum() > len(which):
            yield name, which


def _networks_of_other_machines(rows: process.Rows) -> Iterator[tuple[str, Indices]]:
    """Networks that several machines know, each withheld from one of them."""
    unknown = (rows.site == "") | (rows.network == "")
    pair = np.where(unknown, "", np.char.add(np.char.add(rows.site, "|"), rows.network))
    for name, which in _alike(pair):
        if (rows.network == rows.network[which[0]]).sum() > len(which):
            yield name, which


def _alike(labels: process.Labels) -> Iterator[tuple[str, Indices]]:
    for name in np.unique(labels).tolist():
        if name:
            yield name, np.flatnonzero(labels == name)


def _scored(fitted: process.Fitted, kind: int, spread: Array) -> Scored:
    if kind == SEEN:
        return _repeats(fitted.rows, fitted.predict(fitted.rows)[1], spread)
    groups = list(withheld_groups(fitted.rows, kind))
    found = left_out(fitted, [which for _, which in groups])
    return _collect(
        fitted.rows, [(name, which, np.abs(e) / s) for (name, which), (e, s) in zip(groups, found, strict=True)]
    )


def _energy_scored(time: process.Fitted, power: process.Fitted, kind: int, spreads: Spreads) -> Scored:
    """As ``_scored``, of the sum of log time and log power, over rows that have both."""
    _, in_time, in_power = np.intersect1d(spreads.timed, spreads.powered, return_indices=True)
    slope = spreads.slope[spreads.powered][in_power]
    rows = time.rows.take(in_time)
    if kind == SEEN:
        deviation = np.hypot(time.predict(time.rows)[1][in_time], slope * power.predict(power.rows)[1][in_power])
        return _repeats(rows, deviation, spreads.energy[spreads.timed][in_time])
    groups = list(withheld_groups(rows, kind))
    of_time = left_out(time, [in_time[which] for _, which in groups])
    of_power = left_out(power, [in_power[which] for _, which in groups])
    found = []
    for (name, which), (time_error, time_std), (power_error, power_std) in zip(groups, of_time, of_power, strict=True):
        error = time_error + slope[which] * power_error
        found.append((name, which, np.abs(error) / np.hypot(time_std, slope[which] * power_std)))
    return _collect(rows, found)


def _repeats(rows: process.Rows, deviation: Array, spread: Array) -> Scored:
    """Scores of the repeats of each setting, of which the spread is known, as a normal's quantiles."""
    known = np.flatnonzero(np.isfinite(spread))
    scores = (spread[known] / deviation[known])[:, None] * _QUANTILES
    return _collect(rows, [(str(i), np.full(len(_QUANTILES), i), scores[k]) for k, i in enumerate(known)])


def _collect(rows: process.Rows, found: list[tuple[str, Indices, Array]]) -> Scored:
    which = np.concatenate([mine for _, mine, _ in found]) if found else np.zeros(0, dtype=np.int64)
    return Scored(
        scores=np.concatenate([scores for _, _, scores in found]) if found else np.zeros(0),
        study=np.where(rows.study == process.HERE, rows.site, rows.study)[which],
        site=rows.site[which],
        group=np.concatenate([np.full(len(mine), name) for name, mine, _ in found]) if found else np.zeros(0, "U1"),
    )


def _of_site(found: Scored, site: str, general: float) -> float:
    mine = np.flatnonzero(found.site == site)
    if not len(mine):
        return general
    count = len(np.unique(found.group[mine]))
    own = quantile(found.scores[mine], found.group[mine], found.study[mine])
    # What a machine's own groups ask for is not bargained down; that they ask for less is believed as far as they go.
    return max(own, (count * own + _POOLED_GROUPS * general) / (count + _POOLED_GROUPS))


def quantile(scores: Array, groups: process.Labels, studies: process.Labels) -> float:
    """The 90% quantile of scores, every study and every group in a study weighing the same.

    The level is raised as conformal prediction does for a finite number of groups, of which a weighted sample has as
    many as its effective size.
    """
    if not len(scores):
        return _NORMAL
    _, study, study_sizes = np.unique(studies, return_inverse=True, return_counts=True)
    unit = np.char.add(np.char.add(studies, "|"), groups)
    _, code, sizes = np.unique(unit, return_inverse=True, return_counts=True)
    units_of_study = np.array([len(np.unique(code[study == s])) for s in range(len(study_sizes))])
    weights = 1.0 / (sizes[code] * units_of_study[study])
    weights /= weights.sum()
    of_units = np.bincount(code, weights)
    effective = 1.0 / (of_units**2).sum()
    level = min(COVERAGE * (1 + 1 / effective), 1.0)
    order = np.argsort(scores)
    place = np.searchsorted(np.cumsum(weights[order]), level - 1e-9)
    return float(np.clip(scores[order][min(place, len(scores) - 1)], _LEAST, _MOST))
