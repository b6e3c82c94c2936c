"""The recommendation as ``gsbatch --json`` prints it: field names are a contract, more may be added."""

from __future__ import annotations

import dataclasses
from typing import Any

from advisor.inspection.workload import Fact, Source, Workload
from advisor.prediction.prediction import Estimate
from advisor.recommendation.recommendation import RankedPlacement, Recommendation

_CONTRACT_SOURCES = {
    Source.LAUNCHER: Source.SOURCE_CODE,
    Source.ARGUMENTS: Source.SOURCE_CODE,
    Source.CONFIGURATION: Source.SOURCE_CODE,
    Source.TABLE: Source.SOURCE_CODE,
    Source.HISTORY: Source.DEFAULT,
}


def advice_object(recommendation: Recommendation) -> dict[str, Any]:
    """One object in SI units; each estimate is ``{"value", "low", "high"}`` at 90%, null where unknown."""
    best = recommendation.recommended
    return {
        "workload": workload_object(recommendation.workload),
        "notes": list(recommendation.workload.notes),
        "placements": [_placement(ranked) for ranked in recommendation.ranked],
        "rejected": [
            {"partition": item.partition, "gpu_model": item.gpu_model, "reason": item.reason}
            for item in recommendation.rejections
        ],
        "recommended": None if best is None else _placement(best),
        "no_advice_reason": recommendation.no_advice_reason,
        "objective": recommendation.objective,
        "model": dataclasses.asdict(recommendation.model),
    }


def workload_object(workload: Workload) -> dict[str, Any]:
    """Every fact: value, source, and under ``others`` the values that lost, where there are any.

    ``source`` is one of the six names of the JSON contract; ``evidence`` is the exact source where that is
    finer.
    """
    return {name: _fact(fact) for name, fact in workload.facts()}


def _fact(fact: Fact[Any]) -> dict[str, Any]:
    plain = {"value": fact.value, **_source(fact.source)}
    if fact.others:
        plain["others"] = [{"value": other.value, **_source(other.source)} for other in fact.others]
    return plain


def _source(source: Source) -> dict[str, str]:
    promised = _CONTRACT_SOURCES.get(source)
    return {"source": source.value} if promised is None else {"source": promised.value, "evidence": source.value}


def _placement(ranked: RankedPlacement) -> dict[str, Any]:
    prediction = ranked.prediction
    placement = prediction.placement
    return {
        "partition": placement.partition,
        "gpu_model": placement.gpu.name,
        "gres_type": placement.gres_type,
        "gpu_note": placement.gpu.note,
        "gpus": placement.gpus,
        "nodes": placement.nodes,
        "memory_bytes": placement.memory_bytes,
        "cpus": placement.cpus,
        "rank": ranked.rank,
        "energy_j": _estimate(prediction.energy_j),
        "mean_power_w": _estimate(prediction.mean_power_w),
        "epoch_energy_j": _estimate(prediction.epoch_energy_j),
        "epoch_duration_s": _estimate(prediction.epoch_duration_s),
        "duration_s": _estimate(prediction.duration_s),
        "gpu_memory_bytes": _estimate(prediction.gpu_memory_bytes),
        "host_memory_bytes": _estimate(prediction.host_memory_bytes),
        "gpu_utilisation": _estimate(prediction.gpu_utilisation),
        "match": ranked.match,
        "carbon_g": _estimate(ranked.carbon_g),
        "cost": _estimate(ranked.cost),
        "expected_start": placement.expected_start,
        "method": prediction.method,
        "methods": [dataclasses.asdict(said) for said in prediction.methods],
        "confidence": prediction.confidence,
        "energy_over_first_choice": _estimate(ranked.energy_over_first_choice),
        "probability_least": ranked.probability_least,
        "expected_regret": ranked.expected_regret,
        "tied_with_first_choice": ranked.tied,
        "reason": ranked.reason,
        "confidence_reason": prediction.reason,
    }


def _estimate(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {"value": estimate.value, "low": estimate.low, "high": estimate.high}
