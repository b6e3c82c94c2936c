"""The marginal likelihood of residuals under the process, and the hyper-parameters that maximise it.

Everything of the kernel that no hyper-parameter moves (which labels agree, through which bound an effect acts) is
multiplied once, so that a trial costs a few matrix-vector products and one factorisation. Only the lower triangle is
kept, in single precision (1e-7, where noise is 1e-3 and more): these products wait for memory, not for arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import minimize

from advisor.prediction import process
from advisor.prediction.features import Array

Single = NDArray[np.float32]

JITTER = 1e-8
_TRIALS = 40
_REACH = 6.0  # either way, in the logarithm
_COUNT = len(process.COMPONENTS)


def tune(hyper: Array, start: Array, rows: process.Rows, residuals: Array, runs: Array) -> Array:
    """The hyper-parameters that maximise the marginal likelihood of residuals, under their prior around ``start``."""
    if not len(rows):
        return hyper
    bases = _bases(rows)

    def objective(trial: Array) -> tuple[float, Array]:
        return _negative_log_posterior(trial, start, bases, residuals, runs)

    # Within what single precision can hold; the noise, the last one, is measured from repeats and not tuned.
    bounds = [*zip(start[:-1] - _REACH, start[:-1] + _REACH, strict=True), (hyper[-1], hyper[-1])]
    found = minimize(objective, hyper, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _TRIALS})
    return np.asarray(found.x, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Bases:
    """Components by the spaces they are near in: their places, and what they multiply, (components x pairs).

    ``triangle`` is where the pairs stand in the matrix, ``twice`` how often each stands there.
    """

    places: dict[tuple[str, ...], NDArray[np.int64]]
    shared: dict[tuple[str, ...], Single]
    distance: dict[str, Single]
    triangle: tuple[NDArray[np.int64], NDArray[np.int64]]
    twice: Single


def _bases(rows: process.Rows) -> _Bases:
    pairs = process.pairs_of(rows, rows)
    places: dict[tuple[str, ...], list[int]] = {}
    for i, (_, spaces, _) in enumerate(process.COMPONENTS):
        places.setdefault(spaces, []).append(i)
    triangle = np.tril_indices(len(rows))
    return _Bases(
        places={spaces: np.array(mine) for spaces, mine in places.items()},
        shared={spaces: np.stack([_shared(pairs, i)[triangle] for i in mine]) for spaces, mine in places.items()},
        distance={name: distance[triangle].astype(np.float32) for name, distance in pairs.distance.items()},
        triangle=triangle,
        twice=np.where(triangle[0] == triangle[1], 1, 2).astype(np.float32),
    )


def _shared(pairs: process.Pairs, component: int) -> Single:
    names, _, bound = process.COMPONENTS[component]
    of_bound = pairs.acting[bound] if bound else np.ones_like(next(iter(pairs.distance.values())))
    for name in names:
        of_bound = of_bound * pairs.same[name]
    return of_bound.astype(np.float32)


def _negative_log_posterior(
    hyper: Array, start: Array, bases: _Bases, residuals: Array, runs: Array
) -> tuple[float, Array]:
    variance = np.exp(2 * hyper[:_COUNT]).astype(np.float32)
    lengths = np.exp(2 * hyper[_COUNT : _COUNT + len(process.SPACES)]).astype(np.float32)
    length = dict(zip(process.SPACES, lengths, strict=True))
    near, parts = {}, {}
    for spaces, mine in bases.places.items():
        part = variance[mine] @ bases.shared[spaces]
        if spaces:
            exponent = np.sum([bases.distance[name] / length[name] for name in spaces], axis=0)
            near[spaces] = np.exp(-0.5 * exponent)
            part *= near[spaces]
        parts[spaces] = part
    covariance = np.zeros((len(residuals), len(residuals)))
    covariance[bases.triangle] = np.sum(list(parts.values()), axis=0)
    covariance[np.diag_indices_from(covariance)] += process.noise_variance(hyper, runs) + JITTER
    factor, failed = lapack.dpotrf(covariance, lower=1)
    if failed:
        return 1e10, np.zeros_like(hyper)
    half, _ = lapack.dpotri(factor, lower=1)
    weights = lapack.dpotrs(factor, residuals, lower=1)[0]
    value = 0.5 * residuals @ weights + np.log(np.diag(factor)).sum()
    pull = (half - np.outer(weights, weights))[bases.triangle].astype(np.float32) * bases.twice
    gradient = np.zeros_like(hyper)
    for spaces, mine in bases.places.items():
        gradient[mine] = variance[mine] * (bases.shared[spaces] @ (pull * near[spaces] if spaces else pull))
    for place, name in enumerate(process.SPACES, _COUNT):
        stretched = np.sum([part for spaces, part in parts.items() if name in spaces], axis=0)
        gradient[place] = 0.5 * np.sum(pull * stretched * bases.distance[name]) / length[name]
    away = (hyper - start) / process.INITIAL_STD
    return float(value + 0.5 * away @ away), gradient + away / process.INITIAL_STD
