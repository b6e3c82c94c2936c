"""Fits a model to runs: physical constants, then the residual processes, then how wide the intervals must be.

The physical constants are the maximum a posteriori under a robust loss, with residuals whitened by the processes'
covariance, so that a study of two thousand networks on one machine does not outvote six runs on another. The
processes' hyper-parameters maximise the marginal likelihood. Both see only the runs that are handed in: whoever
evaluates withholds first and fits then.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, minimize

from advisor.prediction import physics, process
from advisor.prediction.features import Array, Table, tabulate
from advisor.prediction.memory import MEMORY_PRIOR_MEAN, MEMORY_PRIOR_STD, host_memory_bytes, log_gpu_memory
from advisor.prediction.model import PredictionModel
from advisor.prediction.prediction import ModelIdentity
from advisor.prediction.predictor import POWER_CEILING, power_logit
from advisor.training.conformal import interval_widths
from advisor.training.runs import TrainingRun, aggregate

# Settings of one study that a fit looks at; more of the same machine teach little and cost the cube of their number.
SETTINGS_PER_STUDY = 150
SETTINGS_OF_THE_CORPUS = 400
_ROUNDS = 2
_TRIALS = 40
_ROBUST_SCALE = 3.0  # whitened residuals beyond this many standard deviations pull linearly, not quadratically
_JITTER = 1e-8
_LEAST_NOISE = 0.005
_TYPICAL_NOISE = 0.03  # of repeats, where there are none
_UTILISATION_FALLBACK = (0.0, 1.0, 1.0)
_HOST_MEMORY_FALLBACK = (0.0, 0.7)  # log ratio to the rule: a factor of two either way until runs say better
_FEW = 5


@dataclass(frozen=True, slots=True)
class Target:
    """One quantity: the rows that have it, its values on the model's scale, and how many runs each stands for."""

    which: NDArray[np.int64]
    values: Array
    runs: Array


@dataclass(frozen=True, slots=True)
class Sample:
    """Aggregated runs as columns, with what was measured of them."""

    table: Table
    per_step: NDArray[np.bool_]
    time: Target
    power: Target
    memory: Target


def sample_of(runs: Sequence[TrainingRun]) -> Sample:
    """The columns of aggregated runs. Time is of an epoch, or of a step where only that was measured."""
    table = tabulate([run.setting for run in runs])
    counts = np.array([float(run.runs) for run in runs])

    def target(values: Array) -> Target:
        which = np.flatnonzero(np.isfinite(values))
        return Target(which, values[which], counts[which])

    time = _column([run.epoch_duration_s or run.step_duration_s for run in runs])
    power = _column([run.mean_power_w for run in runs])
    return Sample(
        table=table,
        per_step=np.array([run.epoch_duration_s is None for run in runs]),
        time=target(np.log(time)),
        power=target(np.where(np.isfinite(power), power_logit(power, table.tdp_w), np.nan)),
        memory=target(np.log(_column([run.gpu_memory_bytes for run in runs]))),
    )


def _column(values: Sequence[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def fit(runs: Sequence[TrainingRun], identity: ModelIdentity, seed: int = 0) -> PredictionModel:
    """Fit a model to measured runs; needs at least one with a time and one with a power."""
    chosen = thin(aggregate(runs), seed)
    sample = sample_of(chosen)
    parameters = physics.PRIOR_MEAN.copy()
    hyper_time, hyper_power = process.INITIAL.copy(), process.INITIAL_POWER.copy()
    hyper_time[-1], hyper_power[-1] = _log_noise(chosen, sample)
    for _ in range(_ROUNDS):
        parameters = _fit_parameters(parameters, sample, hyper_time, hyper_power)
        rows, time_left, power_left = _residuals(parameters, sample)
        hyper_time = tune(hyper_time, process.INITIAL, rows.take(sample.time.which), time_left, sample.time.runs)
        hyper_power = tune(
            hyper_power, process.INITIAL_POWER, rows.take(sample.power.which), power_left, sample.power.runs
        )
    memory_parameters, memory = _fit_memory(sample, rows)
    time = process.condition(hyper_time, rows.take(sample.time.which), time_left, sample.time.runs)
    power = process.condition(hyper_power, rows.take(sample.power.which), power_left, sample.power.runs)
    return PredictionModel(
        identity=identity,
        parameters=parameters,
        memory_parameters=memory_parameters,
        utilisation=_fit_utilisation(parameters, sample, chosen),
        host_memory=_fit_host_memory(sample, chosen),
        time=time,
        power=power,
        memory=memory,
        widths=interval_widths(time, sample.time.which, power, sample.power.which, memory),
    )


def _log_noise(runs: Sequence[TrainingRun], sample: Sample) -> tuple[float, float]:
    """Log standard deviations that repeats of one setting have: of log time, and of power's logit."""
    time = [run.time_spread for run in runs if run.time_spread]
    share = _column([run.mean_power_w for run in runs]) / sample.table.tdp_w
    slope = 1 - np.clip(share, 0.05, POWER_CEILING - 0.1) / POWER_CEILING  # d log power / d logit
    power = [run.power_spread / s for run, s in zip(runs, slope.tolist(), strict=True) if run.power_spread]
    return _log_size(time), _log_size(power)


def _log_size(spreads: Sequence[float]) -> float:
    return float(np.log(max(np.sqrt(np.mean(np.square(spreads))), _LEAST_NOISE) if spreads else _TYPICAL_NOISE))


def thin(runs: Sequence[TrainingRun], seed: int) -> list[TrainingRun]:
    """At most ``SETTINGS_PER_STUDY`` settings of each study; of a site's own corpus more, dealt evenly over sites."""
    by_study: dict[str, list[TrainingRun]] = defaultdict(list)
    for run in runs:
        by_study[run.setting.study].append(run)
    chooser = random.Random(seed)  # noqa: S311 (a sample, not a secret)
    chosen: list[TrainingRun] = []
    for study, mine in by_study.items():
        most = SETTINGS_PER_STUDY if study else SETTINGS_OF_THE_CORPUS
        chosen.extend(mine if len(mine) <= most else evenly(mine, most, chooser))
    return chosen


def evenly(runs: Sequence[TrainingRun], most: int, chooser: random.Random) -> list[TrainingRun]:
    """A random choice of at most so many runs that takes from every site in turn."""
    by_site: dict[str, list[TrainingRun]] = defaultdict(list)
    for run in chooser.sample(runs, len(runs)):
        by_site[run.setting.site].append(run)
    turns = itertools.zip_longest(*by_site.values())
    return list(itertools.islice((run for turn in turns for run in turn if run is not None), most))


def _mean_log_time(mean: physics.Physics, sample: Sample) -> Array:
    return np.where(sample.per_step, mean.log_step_s, mean.log_epoch_s)[sample.time.which]


def _mean_logit_power(mean: physics.Physics, sample: Sample) -> Array:
    return power_logit(np.exp(mean.log_power_w), sample.table.tdp_w)[sample.power.which]


def _residuals(parameters: Array, sample: Sample) -> tuple[process.Rows, Array, Array]:
    mean = physics.evaluate(parameters, sample.table)
    rows = process.rows_of(sample.table, mean)
    return (
        rows,
        sample.time.values - _mean_log_time(mean, sample),
        sample.power.values - _mean_logit_power(mean, sample),
    )


def _fit_parameters(start: Array, sample: Sample, hyper_time: Array, hyper_power: Array) -> Array:
    rows = process.rows_of(sample.table, physics.evaluate(start, sample.table))
    whiten_time = _whitening(hyper_time, rows.take(sample.time.which), sample.time.runs)
    whiten_power = _whitening(hyper_power, rows.take(sample.power.which), sample.power.runs)

    def residuals(parameters: Array) -> Array:
        mean = physics.evaluate(parameters, sample.table)
        return np.concatenate([
            whiten_time @ (sample.time.values - _mean_log_time(mean, sample)),
            whiten_power @ (sample.power.values - _mean_logit_power(mean, sample)),
            (parameters - physics.PRIOR_MEAN) / physics.PRIOR_STD,
        ])  # fmt: skip

    solution = least_squares(residuals, start, loss="soft_l1", f_scale=_ROBUST_SCALE, max_nfev=30)
    return np.asarray(solution.x, dtype=np.float64)


def _whitening(hyper: Array, rows: process.Rows, runs: Array) -> Array:
    covariance = process.kernel(hyper, process.pairs_of(rows, rows))
    covariance[np.diag_indices_from(covariance)] += process.noise_variance(hyper, runs) + _JITTER
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)))


def tune(hyper: Array, start: Array, rows: process.Rows, residuals: Array, runs: Array) -> Array:
    """The hyper-parameters that maximise the marginal likelihood of residuals, under their prior around ``start``."""
    if not len(rows):
        return hyper
    pairs = process.pairs_of(rows, rows)

    def objective(trial: Array) -> tuple[float, Array]:
        return _negative_log_posterior(trial, start, pairs, residuals, runs)

    found = minimize(objective, hyper, jac=True, method="L-BFGS-B", options={"maxiter": _TRIALS})
    return np.asarray(found.x, dtype=np.float64)


def _negative_log_posterior(
    hyper: Array, start: Array, pairs: process.Pairs, residuals: Array, runs: Array
) -> tuple[float, Array]:
    parts, _ = process.parts(hyper, pairs)
    noise = process.noise_variance(hyper, runs)
    covariance = np.sum(parts, axis=0)
    covariance[np.diag_indices_from(covariance)] += noise + _JITTER
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(hyper)
    inverse_factor = np.linalg.inv(factor)
    inverse = inverse_factor.T @ inverse_factor
    weights = inverse @ residuals
    value = 0.5 * residuals @ weights + np.log(np.diag(factor)).sum()
    pull = inverse - np.outer(weights, weights)
    gradient = np.zeros_like(hyper)
    count = len(process.COMPONENTS)
    for i, part in enumerate(parts):
        gradient[i] = np.sum(pull * part)
    for j, space in enumerate(process.SPACES):
        stretched = sum(p for p, (_, near, _) in zip(parts, process.COMPONENTS, strict=True) if space in near)
        gradient[count + j] = 0.5 * np.sum(pull * stretched * pairs.distance[space]) / np.exp(2 * hyper[count + j])
    gradient[-1] = 0.0  # measured from repeats, not tuned
    away = (hyper - start) / process.INITIAL_STD
    return float(value + 0.5 * away @ away), gradient + away / process.INITIAL_STD


def _fit_memory(sample: Sample, rows: process.Rows) -> tuple[Array, process.Fitted]:
    target = sample.memory
    mine = rows.take(target.which)

    def residuals(parameters: Array) -> Array:
        left = target.values - log_gpu_memory(parameters, sample.table)[target.which]
        return np.concatenate([left / 0.2, (parameters - MEMORY_PRIOR_MEAN) / MEMORY_PRIOR_STD])

    parameters = np.asarray(least_squares(residuals, MEMORY_PRIOR_MEAN, loss="soft_l1", f_scale=2.0).x)
    left = target.values - log_gpu_memory(parameters, sample.table)[target.which]
    hyper = tune(process.INITIAL.copy(), process.INITIAL, mine, left, target.runs)
    return parameters, process.condition(hyper, mine, left, target.runs)


def _fit_utilisation(parameters: Array, sample: Sample, runs: Sequence[TrainingRun]) -> Array:
    measured = _column([run.gpu_utilisation for run in runs])
    which = np.flatnonzero(np.isfinite(measured))
    if len(which) < _FEW:
        return np.array(_UTILISATION_FALLBACK)
    busy = np.clip(physics.evaluate(parameters, sample.table).busy[which], 0.01, 0.99)
    share = np.clip(measured[which], 0.01, 0.99)
    x, y = np.log(busy / (1 - busy)), np.log(share / (1 - share))
    slope, intercept = np.polyfit(x, y, 1)
    return np.array([intercept, slope, float(np.std(y - intercept - slope * x))])


def _fit_host_memory(sample: Sample, runs: Sequence[TrainingRun]) -> Array:
    measured = _column([run.host_memory_bytes for run in runs])
    which = np.flatnonzero(np.isfinite(measured))
    if len(which) < _FEW:
        return np.array(_HOST_MEMORY_FALLBACK)
    ratio = np.log(measured[which] / host_memory_bytes(sample.table)[which])
    spread = 1.48 * float(np.median(np.abs(ratio - np.median(ratio))))
    return np.array([float(np.median(ratio)), max(spread, 0.1)])
