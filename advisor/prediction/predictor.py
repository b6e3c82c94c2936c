"""Predicts: a workload and its placements in, one ``Prediction`` for each placement out, all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from advisor.inspection.workload import Workload
from advisor.inventory.model import GpuModel
from advisor.placement.placement import Placement
from advisor.prediction import physics, process
from advisor.prediction.features import Array, Setting, Table, setting_of, tabulate
from advisor.prediction.filled import Work, work_of
from advisor.prediction.gaps import Gaps, gaps_of
from advisor.prediction.memory import host_memory_bytes, log_gpu_memory, memory_gap_variance, memory_slopes
from advisor.prediction.model import (
    FEW,
    FEW_RUNS,
    MEASURES,
    NEW_BATCH,
    NEW_GPU,
    NEW_HERE,
    NEW_MACHINE,
    NEW_NETWORK,
    NOVELTIES,
    SEEN,
    PredictionModel,
)
from advisor.prediction.power_scale import POWER_CEILING, power_from_logit, power_logit, power_slope
from advisor.prediction.prediction import Estimate, Prediction

METHOD = "physical mean with learned residuals"
_WIDE, _VERY_WIDE = 0.25, 0.6  # half-widths of log energy at which confidence falls
_Z90 = 1.645
# Fewest multiplications of a 3x3 convolution by Winograd's transform, of those that its FLOPs count (arXiv 1509.09308).
_WINOGRAD = 2.25


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the model says of every row, before it is put in words. Logarithms; power as logit, of one GPU.

    ``log_fastest`` is the time that the board's peak rate would need, in units of the time predicted: zero at most.
    """

    log_step_s: Array
    log_epoch_s: Array
    log_fastest: Array
    time_std: Array
    power_logit: Array
    power_std: Array
    log_memory: Array
    memory_std: Array
    utilisation_logit: Array
    host_memory_bytes: Array
    novelty: NDArray[np.int64]
    width: Array
    table: Table
    time: process.Posterior
    power: process.Posterior
    gaps: Gaps

    @property
    def power_w(self) -> Array:
        """Mean power of one GPU."""
        return power_from_logit(self.power_logit, self.table.tdp_w)

    @property
    def power_slope(self) -> Array:
        """By how much log power moves with the logit: less where the limit is near."""
        return 1 - self.power_w / (POWER_CEILING * self.table.tdp_w)

    @property
    def log_power_std(self) -> Array:
        """The standard deviation of log power."""
        return self.power_std * self.power_slope


@dataclass(frozen=True, slots=True)
class Views:
    """A table as the physical mean and each of the processes sees it."""

    mean: physics.Physics
    log_memory: Array
    time: process.Rows
    power: process.Rows
    memory: process.Rows


def views_of(
    parameters: Array, memory_parameters: Array, table: Table, per_step: NDArray[np.bool_] | None = None
) -> Views:
    """See a table through the fitted constants; times are of an epoch, or of a step where ``per_step`` says so."""
    mean, step_slopes, epoch_slopes, power_slopes = physics.jacobian(parameters, table)
    time_slopes = epoch_slopes if per_step is None else np.where(per_step[:, None], step_slopes, epoch_slopes)
    logit_slopes = power_slope(mean, table)[:, None] * power_slopes
    rows = process.rows_of(table, mean)
    return Views(
        mean=mean,
        log_memory=log_gpu_memory(memory_parameters, table),
        time=replace(rows, constants=time_slopes * physics.PRIOR_STD),
        power=replace(rows, constants=logit_slopes * physics.PRIOR_STD),
        memory=replace(rows, constants=memory_slopes(memory_parameters, table)),
    )


def forecast(model: PredictionModel, settings: Sequence[Setting]) -> Forecast:
    """Run the model over settings."""
    table = tabulate(settings)
    seen = views_of(model.parameters, model.memory_parameters, table)
    time, power, memory = (getattr(model, name).posterior(getattr(seen, name)) for name in ("time", "power", "memory"))
    gaps = gaps_of(model.parameters, model.memory_parameters, table, model.time.rows.gpu, model.power.rows.gpu)
    time_gaps, power_gaps, memory_gaps = gaps.variances()
    intercept, slope, _ = model.utilisation
    busy = np.clip(seen.mean.busy, 0.01, 0.99)
    log_step_s = seen.mean.log_step_s + time.mean
    least = _log_least_step_s(table)
    beyond_peak = np.maximum(least - log_step_s, 0.0)
    how_new = novelty(model.time.rows, seen.time)
    return Forecast(
        log_step_s=log_step_s + beyond_peak,
        log_epoch_s=seen.mean.log_epoch_s + time.mean + beyond_peak,
        log_fastest=np.minimum(least - log_step_s, 0.0),
        time_std=np.sqrt(time.variance + time_gaps),
        power_logit=power_logit(np.exp(seen.mean.log_power_w), table.tdp_w) + power.mean,
        power_std=np.sqrt(power.variance + power_gaps),
        log_memory=seen.log_memory + memory.mean,
        memory_std=np.sqrt(memory.variance + memory_gaps + memory_gap_variance(table)),
        utilisation_logit=intercept + slope * np.log(busy / (1 - busy)),
        host_memory_bytes=host_memory_bytes(table) * np.exp(model.host_memory[0]),
        novelty=how_new,
        width=model.width(seen.time, how_new),
        table=table,
        time=time,
        power=power,
        gaps=gaps,
    )


def _log_least_step_s(table: Table) -> Array:
    """The logarithm of the time in which a step's arithmetic could be done at the board's peak rate."""
    flops = table.batch_size * table.training_flops / np.where(table.matrix > 0.5, 1.0, _WINOGRAD)  # noqa: PLR2004
    return np.asarray(np.log(flops / table.peak))


def novelty(known: process.Rows, rows: process.Rows) -> NDArray[np.int64]:
    """How far each row is from the rows a process knows: an index into ``NOVELTIES``."""
    sites, settings_there = np.unique(known.site[known.site != ""], return_counts=True)
    found = np.where(np.isin(rows.gpu, known.gpu), NEW_MACHINE, NEW_GPU)
    pairs = np.char.add(np.char.add(rows.site, "|"), rows.network)
    known_pairs = np.char.add(np.char.add(known.site, "|"), known.network)
    elsewhere = np.isin(rows.network, known.network[known.network != ""])
    on_a_known_site = np.where(np.isin(pairs, known_pairs), NEW_BATCH, np.where(elsewhere, NEW_HERE, NEW_NETWORK))
    found = np.where(np.isin(rows.site, sites), on_a_known_site, found)
    found = np.where(np.isin(rows.site, sites[settings_there <= FEW]), FEW_RUNS, found)
    return np.asarray(np.where(np.isin(rows.setting, known.setting) & (rows.setting != ""), SEEN, found))


def predict(workload: Workload, placements: Sequence[Placement], model: PredictionModel) -> list[Prediction]:
    """Predict every placement of a workload, in the placements' order; see ``foresee``."""
    return list(foresee(workload, placements, model).predictions)


@dataclass(frozen=True, slots=True)
class Outlook:
    """The predictions of a workload's placements, and the forecast's rows that they are made from."""

    predictions: tuple[Prediction, ...]
    forecast: Forecast
    rows: tuple[int, ...]


def foresee(workload: Workload, placements: Sequence[Placement], model: PredictionModel) -> Outlook:
    """Predict every placement of a workload, in the placements' order.

    Duration is epochs times epoch duration and energy is mean power times duration, so that power times duration and
    epoch energy times epochs are the same number; epochs or their samples come from the steps where these alone are
    known. The RAM allocation changes nothing but is carried in the placement.

    Raises:
        ImplausibleWorkload: a fact of the workload is absurd.
    """
    known = frozenset(model.time.rows.site.tolist()) | frozenset(model.power.rows.site.tolist())
    # Placements that differ only in CPUs, in an unknown partition, or in RAM where no runs tell RAM apart, are one row
    # to the model: computed once.
    rows: dict[tuple[GpuModel, int, int, str, int], int] = {}
    settings: list[Setting] = []
    first: list[Placement] = []
    places: list[int] = []
    for placement in placements:
        site = site_of(placement)
        here = site if site in known else ""
        key = (placement.gpu, placement.gpus, placement.nodes, here, placement.memory_bytes if here else 0)
        place = rows.setdefault(key, len(rows))
        if place == len(settings):
            settings.append(setting_of(workload, placement, site=here))
            first.append(placement)
        places.append(place)
    seen = forecast(model, settings)
    work = work_of(workload)
    answers = [_prediction(seen, i, placement, model, work) for i, placement in enumerate(first)]
    predictions = tuple(replace(answers[place], placement=placements[i]) for i, place in enumerate(places))
    return Outlook(predictions, seen, tuple(places))


def site_of(placement: Placement) -> str:
    """The name under which runs of one partition and GPU model share what is particular to them."""
    return site_name(placement.partition, placement.gpu.name)


def site_name(partition: str, gpu_model: str) -> str:
    """As ``site_of``, for a run of which only the names are known."""
    return f"{partition}/{gpu_model}"


def _around(log_value: float, half_width: float, factor: float = 1.0, log_least: float = -np.inf) -> Estimate:
    value = float(np.exp(log_value)) * factor
    spread = float(np.exp(min(half_width, 7.0)))
    return Estimate(value, max(value / spread, value * float(np.exp(log_least))), value * spread)


def _prediction(seen: Forecast, i: int, placement: Placement, model: PredictionModel, work: Work) -> Prediction:
    widths = dict(zip(MEASURES, seen.width[:, i].tolist(), strict=True))
    tdp_w, gpus = float(seen.table.tdp_w[i]), placement.gpus
    power_w = float(seen.power_w[i])
    half = widths["power"] * float(seen.power_std[i])
    low, high = (float(power_from_logit(seen.power_logit[i] + sign * half, np.float64(tdp_w))) for sign in (-1, 1))
    power = Estimate(power_w * gpus, low * gpus, high * gpus)
    time_half = widths["time"] * float(seen.time_std[i])
    epoch_s = _around(float(seen.log_epoch_s[i]), time_half, log_least=float(seen.log_fastest[i]))
    energy_half = widths["energy"] * float(np.hypot(seen.time_std[i], seen.log_power_std[i]))
    epoch_j = _around(float(seen.log_epoch_s[i]), energy_half, power.value)
    duration_s = epoch_s.scaled(work.epochs) if work.epochs else None
    energy_j = epoch_j.scaled(work.epochs) if work.epochs else None
    host = _around(float(np.log(seen.host_memory_bytes[i])), _Z90 * float(model.host_memory[1]))
    confidence, reason = _confidence(energy_half, NOVELTIES[int(seen.novelty[i])], seen.table.settings[i])
    if work.from_steps:
        reason += "; length of the run from its steps"
    return Prediction(
        placement=placement,
        mean_power_w=power,
        epoch_energy_j=epoch_j,
        epoch_duration_s=epoch_s,
        energy_j=energy_j,
        duration_s=duration_s,
        gpu_memory_bytes=_around(float(seen.log_memory[i]), widths["memory"] * float(seen.memory_std[i])),
        host_memory_bytes=host,
        gpu_utilisation=_utilisation(float(seen.utilisation_logit[i]), float(model.utilisation[2])),
        method=METHOD,
        confidence=confidence,
        reason=reason,
    )


def _utilisation(logit: float, std: float) -> Estimate:
    value, low, high = (float(1 / (1 + np.exp(-(logit + sign * _Z90 * std)))) for sign in (0, -1, 1))
    return Estimate(value, low, high)


def _confidence(energy_half_width: float, novelty_name: str, setting: Setting) -> tuple[str, str]:
    word = "high" if energy_half_width < _WIDE else "medium" if energy_half_width < _VERY_WIDE else "low"
    reason = f"{novelty_name}; energy within a factor of {np.exp(min(energy_half_width, 7.0)):.2g} (90%)"
    if setting.unknown:
        reason += f"; not known: {', '.join(setting.unknown)}"
    return word, reason


def with_runs(
    model: PredictionModel,
    settings: Sequence[Setting],
    *,
    log_time_s: Array,
    power_w: Array,
    runs: Array,
    log_memory: Array | None = None,
) -> PredictionModel:
    """The model with measured runs added to what its processes know, nothing refitted: calibration from few runs.

    ``log_time_s`` is the logarithm of the epoch duration, ``power_w`` the mean power of one GPU, ``log_memory`` the
    logarithm of its peak memory in bytes; NaN: not measured.
    """
    table = tabulate(settings)
    seen = views_of(model.parameters, model.memory_parameters, table)
    time_left = log_time_s - seen.mean.log_epoch_s
    power_left = power_logit(np.where(np.isfinite(power_w), power_w, 1.0), table.tdp_w) - power_logit(
        np.exp(seen.mean.log_power_w), table.tdp_w
    )
    timed = np.flatnonzero(np.isfinite(time_left))
    powered = np.flatnonzero(np.isfinite(power_w))
    memory = model.memory
    if log_memory is not None:
        memory_left = log_memory - seen.log_memory
        held = np.flatnonzero(np.isfinite(memory_left))
        memory = memory.extended(seen.memory.take(held), memory_left[held], runs[held])
    return replace(
        model,
        memory=memory,
        time=model.time.extended(seen.time.take(timed), time_left[timed], runs[timed]),
        power=model.power.extended(seen.power.take(powered), power_left[powered], runs[powered]),
    )
