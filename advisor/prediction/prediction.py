"""What a placement will cost: the value that prediction hands to recommendation and submission."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.placement.placement import Placement


@dataclass(frozen=True, slots=True)
class Estimate:
    """A predicted value with its 90% interval: ``low <= value <= high``, same unit for all three."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> Estimate:
        """The same estimate times a known positive number, such as epochs."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodEstimate:
    """What another estimator says of the same run; power and energies are of all GPUs of the placement.

    None where the method does not say it, or where the number of epochs is unknown.
    """

    method: str
    mean_power_w: float | None
    epoch_energy_j: float | None
    energy_j: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The cost of one run on one placement.

    Energies and power are of the GPUs; power is the mean over the run, summed over the placement's GPUs.
    ``duration_s`` and ``energy_j`` are None where the number of epochs is unknown. ``gpu_utilisation`` is 0..1.
    ``gpu_memory_bytes`` is per GPU, ``host_memory_bytes`` per node. ``confidence`` is ``high``, ``medium`` or ``low``;
    ``reason`` says in one line what the confidence rests on, ``method`` which estimator spoke. ``methods`` is what
    others say, where they were asked.
    """

    placement: Placement
    mean_power_w: Estimate
    epoch_energy_j: Estimate
    epoch_duration_s: Estimate
    energy_j: Estimate | None
    duration_s: Estimate | None
    gpu_memory_bytes: Estimate | None
    host_memory_bytes: Estimate | None
    gpu_utilisation: Estimate | None
    method: str
    confidence: str
    reason: str
    methods: tuple[MethodEstimate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which stored model predicted: shown to users and kept in every ticket."""

    name: str
    version: str
    trained_on_runs: int
    promoted_at: str
