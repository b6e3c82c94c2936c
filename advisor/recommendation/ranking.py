"""Predictions -> Recommendation: reject what cannot work, choose the RAM, rank the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from advisor.errors import ConfigurationError
from advisor.inspection.workload import Workload
from advisor.placement.placement import Placement, Rejection
from advisor.prediction.comparison import Joint
from advisor.prediction.prediction import Estimate, ModelIdentity, Prediction
from advisor.recommendation.choice import aim_of, choose
from advisor.recommendation.explanation import (
    Standing,
    explain,
    gpu_memory_rejection,
    memory_rejection,
    time_rejection,
)
from advisor.recommendation.rates import Rates
from advisor.recommendation.recommendation import RankedPlacement, Recommendation

# The thresholds of arXiv 2307.05520: below, idle power is wasted; above, the card is strained.
UNDER_USED_BELOW = 0.5
STRAINED_ABOVE = 0.9
# A job that meets its memory limit is killed, so the allocation is held against the interval's upper end, with room
# for what cgroup accounting adds (slurmstepd, page cache of the data set).
MEMORY_MARGIN = 1.2


def rank(
    workload: Workload,
    predictions: Sequence[Prediction],
    rejections: Sequence[Rejection],
    *,
    objective: str,
    joint: Joint,
    model: ModelIdentity,
    rates: Rates,
    time_limit_s: float | None = None,
) -> Recommendation:
    """Rank placements by the objective, best first; the variants of one placement that differ in RAM stay together.

    A placement is rejected where its run cannot end within the limit (the user's ``time_limit_s``, else the
    partition's), where the GPU's memory is surely too small, and where its RAM is; where the GPU's memory is only
    probably too small it comes after all others. Of the RAM variants left, the smallest with a margin comes first: RAM
    beyond the need saves neither energy nor time. ``joint`` says what the predictions, in their order, have in common.

    Raises:
        ConfigurationError: the objective is cost and the site set no price.
    """
    if objective == "cost" and rates.price_per_kwh is None and rates.price_per_gpu_hour is None:
        raise ConfigurationError(
            "The objective is cost, but no price is set.", hint="Set price_per_kwh or price_per_gpu_hour."
        )
    groups, refused = _offered(predictions, time_limit_s)
    refused += rejections  # after those of this workload, which tell more than those of the cluster
    ranked = _ranked(groups, predictions, objective, joint, rates) if groups else ()
    return Recommendation(
        workload=workload,
        objective=objective,
        ranked=ranked,
        rejections=tuple(refused),
        model=model,
        no_advice_reason=None if ranked else _why_nothing(refused),
    )


def _offered(
    predictions: Sequence[Prediction], time_limit_s: float | None
) -> tuple[list[list[Prediction]], list[Rejection]]:
    """The placements that can work, each as its RAM variants, best variant first; and the others."""
    groups: list[list[Prediction]] = []
    refused: list[Rejection] = []
    for variants in _variants(predictions):
        fitting, reason = _fitting(variants, time_limit_s)
        if fitting:
            groups.append(sorted(fitting, key=_memory_order))
        else:
            placement = variants[0].placement
            refused.append(Rejection(partition=placement.partition, gpu_model=placement.gpu.name, reason=reason))
    return groups, refused


def _ranked(
    groups: Sequence[Sequence[Prediction]],
    predictions: Sequence[Prediction],
    objective: str,
    joint: Joint,
    rates: Rates,
) -> tuple[RankedPlacement, ...]:
    place = {id(prediction): i for i, prediction in enumerate(predictions)}
    firsts = [group[0] for group in groups]
    costs = {int(joint.rows[place[id(first)]]): _cost_and_share(first, rates) for first in firsts}
    choice = choose(firsts, [place[id(first)] for first in firsts], joint, aim_of(objective, joint, costs))
    best = firsts[choice.order[0]]
    energy = joint.over(joint.energy(), place[id(best)])
    ordered = [(position, prediction) for position in choice.order for prediction in groups[position]]
    return tuple(
        RankedPlacement(
            rank=rank_number,
            prediction=prediction,
            match=match_word(prediction.gpu_utilisation),
            carbon_g=_carbon_g(prediction, rates),
            cost=_cost(prediction, rates),
            energy_over_first_choice=energy[place[id(prediction)]],
            probability_least=choice.least[position],
            expected_regret=choice.regret[position],
            tied=choice.tied[position],
            reason=explain(
                prediction,
                Standing(
                    best=best,
                    variant=firsts[position],
                    energy=energy[place[id(prediction)]],
                    tied=choice.tied[position],
                    ties=sum(choice.tied),
                    probability_least=choice.least[position],
                    offered=len(firsts),
                ),
                objective,
            ),
        )
        for rank_number, (position, prediction) in enumerate(ordered, 1)
    )


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


def _cost_and_share(prediction: Prediction, rates: Rates) -> tuple[float, float]:
    """The cost of the run, or of an epoch where the number of epochs is unknown, and the energy's share of it."""
    energy_j = (prediction.energy_j or prediction.epoch_energy_j).value
    duration_s = (prediction.duration_s or prediction.epoch_duration_s).value
    whole = rates.cost(energy_j, prediction.placement.gpus, duration_s) or 0.0
    of_energy = rates.cost(energy_j, prediction.placement.gpus, 0.0) or 0.0
    return whole, of_energy / whole if whole > 0.0 else 0.0


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
