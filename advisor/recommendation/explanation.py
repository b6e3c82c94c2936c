"""The words that explain a rank or a rejection, in one line each."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.prediction.prediction import Estimate, Prediction
from advisor.units import human_duration, human_memory

_OBJECTIVE_WORDS = {"energy": "energy", "carbon": "energy", "time": "time", "edp": "energy x time", "cost": "cost"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a placement stands to the first choice, ``best``.

    ``variant`` is the same placement with the RAM that is advised for it, ``energy`` its energy divided by the first
    choice's; ``tied`` says that the two cannot be told apart, ``ties`` of how many of those ``offered`` that is true.
    """

    best: Prediction
    variant: Prediction
    energy: Estimate
    tied: bool
    ties: int
    probability_least: float
    offered: int


def explain(prediction: Prediction, standing: Standing, objective: str) -> str:
    """Why a placement stands where it stands: its energy and time beside the first choice's, its fit, its RAM."""
    parts = [_first(standing, objective) if prediction is standing.best else _beside(prediction, standing)]
    if may_not_fit(prediction):
        parts.append("may not fit in the GPU's memory")
    utilisation = prediction.gpu_utilisation
    if utilisation is not None:
        parts.append(f"GPU {utilisation.value:.0%} used")
    need = prediction.host_memory_bytes
    surplus_bytes = prediction.placement.memory_bytes - standing.variant.placement.memory_bytes
    if surplus_bytes > 0:
        parts.append("more RAM buys nothing")
    elif surplus_bytes < 0:
        parts.append("less RAM than is safe")
    elif need is not None:
        parts.append(f"needs {human_memory(need.value)} of RAM")
    return "; ".join(parts)


def gpu_memory_rejection(prediction: Prediction) -> str | None:
    """``needs 24 GiB of GPU memory, has 8 GiB``; None where it fits, may fit, or nothing is known."""
    need, has = prediction.gpu_memory_bytes, prediction.placement.gpu.memory_bytes
    if need is None or has is None or need.low <= has:
        return None
    return f"needs {_about(need)} of GPU memory, has {human_memory(has)}"


def may_not_fit(prediction: Prediction) -> bool:
    """Whether the GPU's memory is probably too small, but not surely."""
    need, has = prediction.gpu_memory_bytes, prediction.placement.gpu.memory_bytes
    return need is not None and has is not None and need.low <= has < need.value


def memory_rejection(prediction: Prediction) -> str | None:
    """``needs 40 GiB of RAM a node, gets 32 GiB``; None where it fits or nothing is known."""
    need, has = prediction.host_memory_bytes, prediction.placement.memory_bytes
    if need is None or need.value <= has:
        return None
    return f"needs {_about(need)} of RAM a node, gets {human_memory(has)}"


def time_rejection(prediction: Prediction, limit_s: float | None) -> str | None:
    """``needs 3 d 2 h, the time limit is 2 d 0 h``; None where it fits or nothing is known."""
    need = prediction.duration_s
    if need is None or limit_s is None or need.value <= limit_s:
        return None
    certainty = "cannot end in time" if need.low > limit_s else "would not end in time"
    return f"{certainty}: needs about {human_duration(need.value)}, the limit is {human_duration(limit_s)}"


def _about(need: Estimate) -> str:
    return f"about {human_memory(need.value)}"


def _first(standing: Standing, objective: str) -> str:
    least = f"least {_OBJECTIVE_WORDS[objective]}"
    if standing.offered == 1:
        return least
    if _OBJECTIVE_WORDS[objective] == "energy":
        least += f" ({standing.probability_least:.0%} sure)"
    if not standing.ties:
        return least
    return f"{least}; tie with {'1 other' if standing.ties == 1 else f'{standing.ties} others'}"


def _beside(prediction: Prediction, standing: Standing) -> str:
    best, energy = standing.best, standing.energy
    duration = _times(
        (prediction.duration_s or prediction.epoch_duration_s).value, (best.duration_s or best.epoch_duration_s).value
    )
    interval = f" ({energy.low:.2g}x to {energy.high:.2g}x)" if energy.low < energy.high else ""
    tie = "tie with rank 1: " if standing.tied else ""
    return f"{tie}{energy.value:.2g}x the energy{interval}, {duration} the time of rank 1"


def _times(value: float, reference: float) -> str:
    return f"{value / reference:.2g}x" if reference > 0 else "?"
