"""One way to run a workload: the value that placement hands to prediction."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.inventory.model import GpuModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A request that Slurm could grant. ``gpus`` is the total over ``nodes``; ``memory_bytes`` and ``cpus`` per node.

    ``max_time_s`` is the partition's limit, None where there is none. ``expected_start`` is an ISO time where Slurm
    was asked.
    """

    partition: str
    gres_type: str | None
    gpu: GpuModel
    gpus: int
    nodes: int
    memory_bytes: int
    cpus: int
    max_time_s: float | None
    node_features: tuple[str, ...] = ()
    expected_start: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A partition and GPU that was considered and not offered, with the reason a person reads."""

    partition: str
    gpu_model: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What placement found: the placements to predict, and what was left out and why."""

    placements: tuple[Placement, ...]
    rejections: tuple[Rejection, ...]
