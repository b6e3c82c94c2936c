"""Predictions -> Recommendation: reject what cannot work, choose the RAM, rank the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from advisor.errors import ConfigurationError
from advisor.inspection.workload import Workload
from advisor.placement.placement import Placement, Rejection
from advisor.prediction.prediction import Estimate, ModelIdentity, Prediction
from advisor.recommendation.explanation import (
    explain,
    gpu_memory_rejection,
    may_not_fit,
    memory_rejection,
    time_rejection,
)
from advisor.recommendation.recommendation import RankedPlacement, Recommendation
from advisor.units import JOULES_PER_KWH, SECONDS_PER_HOUR

# The thresholds of arXiv 2307.05520: below, idle power is wasted; above, the card is strained.
UNDER_USED_BELOW = 0.5
STRAINED_ABOVE = 0.9
# A job that meets its memory limit is killed, so the allocation is held against the interval's upper end, with room
# for what cgroup accounting adds (slurmstepd, page cache of the data set).
MEMORY_MARGIN = 1.2
# An interval that spans this factor cannot tell a placement from others whose values lie within it.
TOO_WIDE = 4.0
# Energies that differ by a percent or two are alike to any prediction, and so the shorter run decides: twice the time
# counts as 1.4% of energy, ten times as 5%.
TIE_BREAK = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a site's energy and GPU time cost; None where the site did not say. ``pue`` multiplies GPU energy."""

    carbon_intensity_g_per_kwh: float | None = None
    price_per_kwh: float | None = None
    price_per_gpu_hour: float | None = None
    pue: float = 1.0

    def carbon_g(self, energy_j: float) -> float | None:
        """Grams of CO2e of GPU energy, None where the site gave no intensity."""
        if self.carbon_intensity_g_per_kwh is None:
            return None
        return energy_j / JOULES_PER_KWH * self.pue * self.carbon_intensity_g_per_kwh

    def cost(self, energy_j: float, gpus: int, duration_s: float) -> float | None:
        """What GPU energy and GPU time cost in the site's currency, None where it gave no price."""
        if self.price_per_kwh is None and self.price_per_gpu_hour is None:
            return None
        energy = energy_j / JOULES_PER_KWH * self.pue * (self.price_per_kwh or 0.0)
        return energy + gpus * duration_s / SECONDS_PER_HOUR * (self.price_per_gpu_hour or 0.0)


def rank(
    workload: Workload,
    predictions: Sequence[Prediction],
    rejections: Sequence[Rejection],
    *,
    objective: str,
    model: ModelIdentity,
    rates: Rates,
    time_limit_s: float | None = None,
) -> Recommendation:
    """Rank placements by the objective, best first; the variants of one placement that differ in RAM stay together.

    A placement is rejected where its run cannot end within the limit (the user's ``time_limit_s``, else the
    partition's), where the GPU's memory is surely too small, and where its RAM is; where the GPU's memory is only
    probably too small it comes after all others. Of the RAM variants left, the smallest
    with a margin comes first: RAM beyond the need saves neither energy nor time.

    Raises:
        ConfigurationError: the objective is cost and the site set no price.
    """
    if objective == "cost" and rates.price_per_kwh is None and rates.price_per_gpu_hour is None:
        raise ConfigurationError(
            "The objective is cost, but no price is set.", hint="Set price_per_kwh or price_per_gpu_hour."
        )
    score = _score(objective, rates)
    groups: list[list[Prediction]] = []
    refused: list[Rejection] = []
    for variants in _variants(predictions):
        fitting, reason = _fitting(variants, time_limit_s)
        if fitting:
            groups.append(sorted(fitting, key=_memory_order))
        else:
            placement = variants[0].placement
            refused.append(Rejection(partition=placement.partition, gpu_model=placement.gpu.name, reason=reason))
    refused += rejections  # after those of this workload, which tell more than those of the cluster
    groups.sort(key=lambda group: (may_not_fit(group[0]), score(group[0])))
    ordered = [(prediction, group[0]) for group in groups for prediction in group]
    firsts = [group[0] for group in groups]
    unsure = {first.placement: _too_uncertain(first, firsts, objective) for first in firsts}
    ranked = tuple(
        RankedPlacement(
            rank=position,
            prediction=prediction,
            match=match_word(prediction.gpu_utilisation),
            carbon_g=_carbon_g(prediction, rates),
            cost=_cost(prediction, rates),
            too_uncertain_to_rank=unsure[first_choice.placement],
            reason=explain(prediction, ordered[0][0], first_choice, objective, unsure=unsure[first_choice.placement]),
        )
        for position, (prediction, first_choice) in enumerate(ordered, 1)
    )
    return Recommendation(
        workload=workload,
        objective=objective,
        ranked=ranked,
        rejections=tuple(refused),
        model=model,
        no_advice_reason=None if ranked else _why_nothing(refused),
    )


def _too_uncertain(prediction: Prediction, others: Sequence[Prediction], objective: str) -> bool:
    """Whether its interval is too wide to say where it stands among placements with other GPUs."""
    own = _ranked_by(prediction, objective)
    return own.high >= TOO_WIDE * own.low and any(
        own.low < _ranked_by(other, objective).value < own.high
        for other in others
        if other.placement.gpu != prediction.placement.gpu
    )


def _ranked_by(prediction: Prediction, objective: str) -> Estimate:
    if objective == "time":
        return prediction.duration_s or prediction.epoch_duration_s
    return prediction.energy_j or prediction.epoch_energy_j


def match_word(utilisation: Estimate | None) -> str | None:
    """``under-used``, ``matched`` or ``strained``; None where the utilisation is not predicted."""
    if utilisation is None:
        return None
    if utilisation.value < UNDER_USED_BELOW:
        return "under-used"
    return "strained" if utilisation.value > STRAINED_ABOVE else "matched"


def _variants(predictions: Sequence[Prediction]) -> list[list[Prediction]]:
    groups: dict[tuple[object, ...], list[Prediction]] = {}
    for prediction in predictions:
        placement = prediction.placement
        key = (placement.partition, placement.gres_type, placement.gpu.name, placement.gpus, placement.nodes)
        groups.setdefault(key, []).append(prediction)
    return list(groups.values())


def _fitting(variants: Sequence[Prediction], time_limit_s: float | None) -> tuple[list[Prediction], str]:
    reason = ""
    fitting = []
    for prediction in variants:
        problem = (
            gpu_memory_rejection(prediction)
            or time_rejection(prediction, _limit_s(prediction.placement, time_limit_s))
            or memory_rejection(prediction)
        )
        reason = problem or reason
        if problem is None:
            fitting.append(prediction)
    return fitting, reason


def _limit_s(placement: Placement, time_limit_s: float | None) -> float | None:
    limits = [limit for limit in (time_limit_s, placement.max_time_s) if limit is not None]
    return min(limits, default=None)


def _memory_order(prediction: Prediction) -> tuple[int, int]:
    """Enough with a margin first, smallest of those first; then the tight ones, largest first.

    With no prediction of the need, the largest comes first: too much RAM costs little, too little costs the run.
    """
    memory_bytes = prediction.placement.memory_bytes
    need = prediction.host_memory_bytes
    if need is not None and memory_bytes >= need.high * MEMORY_MARGIN:
        return (0, memory_bytes)
    return (1, -memory_bytes)


def _score(objective: str, rates: Rates) -> Callable[[Prediction], float]:
    """What to minimise: of the whole run, or of one epoch where the number of epochs is unknown."""

    def energy_j(prediction: Prediction) -> float:
        return (prediction.energy_j or prediction.epoch_energy_j).value

    def duration_s(prediction: Prediction) -> float:
        return (prediction.duration_s or prediction.epoch_duration_s).value

    def cost(prediction: Prediction) -> float:
        return rates.cost(energy_j(prediction), prediction.placement.gpus, duration_s(prediction)) or 0.0

    def least_energy(prediction: Prediction) -> float:
        return float(energy_j(prediction) * duration_s(prediction) ** TIE_BREAK)

    scores: dict[str, Callable[[Prediction], float]] = {
        "energy": least_energy,
        "carbon": least_energy,  # one carbon intensity for the site: the order is energy's
        "time": duration_s,
        "edp": lambda prediction: energy_j(prediction) * duration_s(prediction),
        "cost": cost,
    }
    return scores[objective]


def _carbon_g(prediction: Prediction, rates: Rates) -> Estimate | None:
    return None if prediction.energy_j is None else _estimate(prediction.energy_j, rates.carbon_g)


def _cost(prediction: Prediction, rates: Rates) -> Estimate | None:
    energy_j, duration_s, gpus = prediction.energy_j, prediction.duration_s, prediction.placement.gpus
    if energy_j is None or duration_s is None:
        return None
    ends = [
        rates.cost(energy, gpus, duration)
        for energy, duration in (
            (energy_j.value, duration_s.value), (energy_j.low, duration_s.low), (energy_j.high, duration_s.high),
        )
    ]  # fmt: skip
    value, low, high = ends
    return None if value is None or low is None or high is None else Estimate(value, low, high)


def _estimate(estimate: Estimate, of: Callable[[float], float | None]) -> Estimate | None:
    value, low, high = of(estimate.value), of(estimate.low), of(estimate.high)
    return None if value is None or low is None or high is None else Estimate(value, low, high)


def _why_nothing(rejections: Sequence[Rejection]) -> str:
    if not rejections:
        return "no GPU partition was found that you may use"
    first = rejections[0]
    where = f"{first.partition}, {first.gpu_model}" if first.gpu_model else first.partition
    more = f" (and {len(rejections) - 1} more)" if len(rejections) > 1 else ""
    return f"no placement fits: {where}: {first.reason}{more}"
