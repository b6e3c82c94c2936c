"""What the user has fixed already: the value that the command line hands to placement."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The user's own words about where the job may run; None is "left open".

    ``gpus`` is the total over ``nodes``; ``memory_bytes`` and ``cpus`` are per node; ``time_s`` is the limit the user
    gave. ``gpu_type`` is Slurm's GRES type name. ``partitions`` is every partition that the user allows.
    """

    partitions: tuple[str, ...] | None = None
    gpus: int | None = None
    gpu_type: str | None = None
    memory_bytes: int | None = None
    time_s: float | None = None
    nodes: int | None = None
    cpus: int | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
