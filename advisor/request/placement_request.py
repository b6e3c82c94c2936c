"""What the user's options fix about where a job may run: the value that placement takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user's sbatch options say of where the job may run; None where they leave it open.

    ``gpus`` is the total over ``nodes``; ``memory_bytes`` and ``cpus`` are per node; ``whole_memory`` (``--mem=0``)
    asks for all that a node has; of the forms of memory at most one is set. ``time_s`` is the limit the user gave,
    infinite where they asked for none. ``gpu_type`` is Slurm's GRES type name. ``partitions`` is every partition that
    the user allows; ``nodelist`` and ``exclude`` are host lists. ``whole_nodes`` is ``--exclusive``.
    """

    partitions: tuple[str, ...] | None = None
    gpus: int | None = None
    gpu_type: str | None = None
    memory_bytes: int | None = None
    memory_per_cpu_bytes: int | None = None
    memory_per_gpu_bytes: int | None = None
    whole_memory: bool = False
    time_s: float | None = None
    nodes: int | None = None
    cpus: int | None = None
    cpus_per_gpu: int | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    nodelist: str | None = None
    whole_nodes: bool = False
