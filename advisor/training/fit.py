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
from scipy.optimize import least_squares
from threadpoolctl import threadpool_limits

from advisor.prediction import physics, process
from advisor.prediction.features import Array, Table, tabulate
from advisor.prediction.memory import MEMORY_PRIOR_MEAN, MEMORY_PRIOR_STD, host_memory_bytes, log_gpu_memory
from advisor.prediction.model import PredictionModel
from advisor.prediction.power_scale import POWER_CEILING, power_logit, power_slope
from advisor.prediction.prediction import ModelIdentity
from advisor.prediction.predictor import Views, views_of
from advisor.training.conformal import Spreads, interval_widths
from advisor.training.likelihood import JITTER, tune
from advisor.training.pairs import pair_widths, workload_labels
from advisor.training.runs import TrainingRun, aggregate

# Settings of one study that a fit looks at; more of the same machine teach little and cost the cube of their number.
SETTINGS_PER_STUDY = 70
SETTINGS_OF_THE_CORPUS = 400
_ROUNDS = 2
_ROBUST_SCALE = 3.0  # whitened residuals beyond this many standard deviations pull linearly, not quadratically
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
    # Threads of a few hundred rows wait for each other more than they work: twenty times slower on a busy machine.
    with threadpool_limits(limits=1):
        return _fit(runs, identity, seed)


def _fit(runs: Sequence[TrainingRun], identity: ModelIdentity, seed: int) -> PredictionModel:
    chosen = thin(aggregate(runs), seed)
    sample = sample_of(chosen)
    parameters = physics.PRIOR_MEAN.copy()
    hyper_time, hyper_power = process.INITIAL.copy(), process.INITIAL_POWER.copy()
    hyper_time[-1], hyper_power[-1] = _log_noise(chosen, sample)
    memory_parameters = _fit_memory_parameters(sample)
    for _ in range(_ROUNDS):
        parameters = _fit_parameters(parameters, sample, hyper_time, hyper_power)
        seen = views_of(parameters, memory_parameters, sample.table, sample.per_step)
        rows_time, rows_power = seen.time.take(sample.time.which), seen.power.take(sample.power.which)
        time_left = sample.time.values - _mean_log_time(seen.mean, sample)
        power_left = sample.power.values - _mean_logit_power(seen.mean, sample)
        hyper_time = tune(hyper_time, process.INITIAL, rows_time, time_left, sample.time.runs)
        hyper_power = tune(hyper_power, process.INITIAL_POWER, rows_power, power_left, sample.power.runs)
    pull = (parameters - physics.PRIOR_MEAN) / physics.PRIOR_STD
    time = process.condition(hyper_time, rows_time, time_left, sample.time.runs, pull)
    power = process.condition(hyper_power, rows_power, power_left, sample.power.runs, pull)
    memory = _fit_memory(memory_parameters, sample, seen)
    spreads = sample_spreads(chosen, sample)
    widths = interval_widths(time, power, memory, spreads)
    return PredictionModel(
        identity=identity,
        parameters=parameters,
        memory_parameters=memory_parameters,
        utilisation=_fit_utilisation(parameters, sample, chosen),
        host_memory=_fit_host_memory(sample, chosen),
        time=time,
        power=power,
        memory=memory,
        widths=widths.general,
        sites=widths.sites,
        site_widths=widths.of_sites,
        pair_widths=pair_widths(time, power, spreads, workload_labels(sample.table.settings)),
    )


def _log_noise(runs: Sequence[TrainingRun], sample: Sample) -> tuple[float, float]:
    """Log standard deviations that repeats of one setting have: of log time, and of power's logit."""
    time = [run.time_spread for run in runs if run.time_spread]
    share = _column([run.mean_power_w for run in runs]) / sample.table.tdp_w
    slope = 1 - np.clip(share, 0.05, POWER_CEILING - 0.1) / POWER_CEILING  # d log power / d logit
    power = [run.power_spread / s for run, s in zip(runs, slope.tolist(), strict=True) if run.power_spread]
    return _log_size(time), _log_size(power)


def sample_spreads(runs: Sequence[TrainingRun], sample: Sample) -> Spreads:
    """What repeats differ by, row by row, on the scales of the processes; NaN where there are too few."""
    energy = np.array([np.nan if run.energy_spread is None else run.energy_spread for run in runs])
    time = np.array([np.nan if run.time_spread is None else run.time_spread for run in runs])
    power = np.array([np.nan if run.power_spread is None else run.power_spread for run in runs])
    share = _column([run.mean_power_w for run in runs]) / (POWER_CEILING * sample.table.tdp_w)
    slope = 1 - np.clip(share, 0.0, 0.95)
    return Spreads(sample.time.which, sample.power.which, time, power / slope, energy, slope)


def _log_size(spreads: Sequence[float]) -> float:
    return float(np.log(max(np.sqrt(np.mean(np.square(spreads))), _LEAST_NOISE) if spreads else _TYPICAL_NOISE))


def thin(runs: Sequence[TrainingRun], seed: int) -> list[TrainingRun]:
    """At most ``SETTINGS_PER_STUDY`` settings of each study; of a site's own corpus more, dealt evenly over sites."""
    by_study: dict[str, list[TrainingRun]] = defaultdict(list)
    for run in runs:
        by_study[run.setting.study].append(run)
    chosen: list[TrainingRun] = []
    for study, mine in by_study.items():
        chooser = random.Random(f"{seed} {study}")  # noqa: S311 (a sample, not a secret: the same beside any others)
        most = SETTINGS_PER_STUDY if study else SETTINGS_OF_THE_CORPUS
        chosen.extend(mine if len(mine) <= most else evenly(mine, most, chooser))
    return chosen


def evenly(runs: Sequence[TrainingRun], most: int, chooser: random.Random) -> list[TrainingRun]:
    """A random choice of at most so many runs that takes from every site in turn.

    Sites that ran the same workloads keep the same ones: from them is learned what two machines differ by.
    """
    labels = workload_labels(tuple(run.setting for run in runs)).tolist()
    chance = {label: chooser.random() for label in dict.fromkeys(labels)}
    order = sorted(range(len(runs)), key=lambda i: (chance[labels[i]], chooser.random()))
    by_site: dict[str, list[TrainingRun]] = defaultdict(list)
    for run in (runs[i] for i in order):
        by_site[run.setting.site].append(run)
    turns = itertools.zip_longest(*by_site.values())
    return list(itertools.islice((run for turn in turns for run in turn if run is not None), most))


def _mean_log_time(mean: physics.Physics, sample: Sample) -> Array:
    return np.where(sample.per_step, mean.log_step_s, mean.log_epoch_s)[sample.time.which]


def _mean_logit_power(mean: physics.Physics, sample: Sample) -> Array:
    return power_logit(np.exp(mean.log_power_w), sample.table.tdp_w)[sample.power.which]


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

    def slopes(parameters: Array) -> Array:
        mean, per_step, per_epoch, power = physics.jacobian(parameters, sample.table)
        time = np.where(sample.per_step[:, None], per_step, per_epoch)[sample.time.which]
        logit = power_slope(mean, sample.table)[:, None] * power
        return np.concatenate([
            -whiten_time @ time, -whiten_power @ logit[sample.power.which], np.diag(1 / physics.PRIOR_STD)
        ])  # fmt: skip

    solution = least_squares(residuals, start, slopes, loss="soft_l1", f_scale=_ROBUST_SCALE, max_nfev=30)
    return np.asarray(solution.x, dtype=np.float64)


def _whitening(hyper: Array, rows: process.Rows, runs: Array) -> Array:
    covariance = process.kernel(hyper, process.pairs_of(rows, rows))
    covariance[np.diag_indices_from(covariance)] += process.noise_variance(hyper, runs) + JITTER
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)))


def _fit_memory_parameters(sample: Sample) -> Array:
    target = sample.memory

    def residuals(parameters: Array) -> Array:
        left = target.values - log_gpu_memory(parameters, sample.table)[target.which]
        return np.concatenate([left / 0.2, (parameters - MEMORY_PRIOR_MEAN) / MEMORY_PRIOR_STD])

    return np.asarray(least_squares(residuals, MEMORY_PRIOR_MEAN, loss="soft_l1", f_scale=2.0).x)


def _fit_memory(parameters: Array, sample: Sample, seen: Views) -> process.Fitted:
    target = sample.memory
    mine, left = seen.memory.take(target.which), target.values - seen.log_memory[target.which]
    hyper = tune(process.INITIAL.copy(), process.INITIAL, mine, left, target.runs)
    pull = (parameters - MEMORY_PRIOR_MEAN) / MEMORY_PRIOR_STD
    return process.condition(hyper, mine, left, target.runs, pull)


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
