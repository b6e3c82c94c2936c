"""The cluster as this user may use it: the value that inventory hands to placement."""

from __future__ import annotations

from dataclasses import dataclass

# NVIDIA's and AMD's architecture white papers: the first with bfloat16 matrix units, and those after it.
_BFLOAT16_ARCHITECTURES = ("ampere", "ada", "hopper", "blackwell", "rubin", "cdna", "rdna 3", "rdna 4", "xe-hpc")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuModel:
    """Data-sheet values of one GPU model, or of one MIG slice of it.

    Peak rates are dense (no sparsity). ``None`` is "not published" or "not known", never zero. ``slice_of`` names the
    whole GPU when this is a MIG slice, whose rates, memory and share of every power are then those of the slice.

    ``idle_w`` is what the board draws without work and without a process, ``context_idle_w`` with a process that holds
    a context and memory (what a training that waits draws), ``full_load_share`` the share of ``tdp_w`` that training at
    full load reaches; ``power_source`` says where these three come from. ``note`` says what was ambiguous in the site's
    name for it and how that was decided, and ``alternatives`` names the other GPUs that the name may stand for.
    """

    name: str
    architecture: str | None = None
    cuda_cores: int | None = None
    memory_bytes: int | None = None
    memory_bandwidth_bytes_per_s: float | None = None
    tdp_w: float | None = None
    peak_fp64_flops_per_s: float | None = None
    peak_fp32_flops_per_s: float | None = None
    peak_tf32_flops_per_s: float | None = None
    peak_fp16_flops_per_s: float | None = None
    peak_bf16_flops_per_s: float | None = None
    launch_year: int | None = None
    idle_w: float | None = None
    context_idle_w: float | None = None
    full_load_share: float | None = None
    power_source: str | None = None
    slice_of: str | None = None
    slice_share: float = 1.0
    known: bool = True
    note: str | None = None
    alternatives: tuple[str, ...] = ()

    @property
    def fast_bfloat16(self) -> bool | None:
        """Whether bfloat16 runs at the rate of float16; None where neither rates nor architecture are known.

        A board without it (NVIDIA before Ampere, AMD before CDNA) emulates bfloat16 in float32 steps.
        """
        if self.peak_bf16_flops_per_s is not None:
            return True
        if self.architecture is None:
            return None
        return self.architecture.lower().startswith(_BFLOAT16_ARCHITECTURES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gres:
    """One GPU resource of a node: Slurm's type name (None where the site gave none), how many, and what it is."""

    gres_type: str | None
    count: int
    gpu: GpuModel
    idle: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node. ``unavailable_reason`` is None where jobs can be placed on it."""

    name: str
    cpus: int
    memory_bytes: int
    gres: tuple[Gres, ...] = ()
    features: tuple[str, ...] = ()
    state: str = "IDLE"
    unavailable_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition with its own limits; ``barred_reason`` is None where this user may submit to it.

    ``max_time_s`` and ``max_memory_per_node_bytes`` are None where there is no limit. Times in seconds. The limits are
    those that bind this user: of the partition and of its QOS, the user's QOS and association where Slurm enforces
    them. ``allowed_accounts`` and ``allowed_qos`` are those of the user's that the partition takes, None for any.
    ``hidden`` partitions are offered only to a user who names them.
    """

    name: str
    nodes: tuple[Node, ...]
    is_default: bool = False
    max_time_s: float | None = None
    default_time_s: float | None = None
    max_nodes: int | None = None
    max_memory_per_node_bytes: int | None = None
    default_memory_per_node_bytes: int | None = None
    default_memory_per_cpu_bytes: int | None = None
    default_memory_per_gpu_bytes: int | None = None
    billing_weights: tuple[tuple[str, float], ...] = ()
    barred_reason: str | None = None
    min_nodes: int = 0
    max_cpus_per_node: int | None = None
    max_memory_per_cpu_bytes: int | None = None
    default_cpus_per_gpu: int | None = None
    max_gpus_per_job: int | None = None
    allowed_accounts: tuple[str, ...] | None = None
    allowed_qos: tuple[str, ...] | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All partitions that this user can see. ``backend`` is ``commands``, ``pyslurm`` or ``described``.

    ``account`` and ``qos`` are the user's defaults, None where Slurm keeps no accounts.
    """

    cluster_name: str
    backend: str
    partitions: tuple[Partition, ...]
    slurm_version: str | None = None
    user: str | None = None
    account: str | None = None
    qos: str | None = None
