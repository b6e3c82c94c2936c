"""A run: one attempt of one job as the corpus keeps it; the value that training and reports read."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.inspection.workload import Workload
from advisor.prediction.prediction import ModelIdentity, Prediction

# Of GPUs, the best first; then replays, hosts and whole nodes.
GPU_ENERGY_SOURCES = ("nvml_counter", "amdsmi_counter", "nvml_integral", "amdsmi_integral")
ENERGY_SOURCES = (*GPU_ENERGY_SOURCES, "replay", "rapl", "sacct", "none")
QUALITIES = ("complete", "cut", "damaged")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEpoch:
    """One epoch over all nodes of the attempt. ``gpu_energy_j`` is None where a node's GPUs were not sampled."""

    phase: int
    index: int
    started_at: float
    duration_s: float
    gpu_energy_j: float | None
    steps: int | None
    samples: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one attempt of one job was predicted to cost, and did.

    Identity: ``job_id`` is Slurm's raw job id (``local-...`` for ``gsbatch --local``), ``restart`` counts requeues
    from 0, ``started_at`` is in seconds since the epoch. ``state`` is Slurm's word (``COMPLETED``, ``FAILED``,
    ``TIMEOUT``, ...); for local runs it is read from the exit status.

    What ran: ``workload`` holds the facts of the ticket (all unknown where there was none) and those found in the job.
    ``gpu_model`` is the name the GPU gives itself, ``gpus`` the total over ``nodes``; ``memory_bytes`` and
    ``cpus`` are allocated, per node.

    What was measured: ``energy_j`` and ``mean_power_w`` are of all GPUs together when ``energy_source`` starts with
    ``nvml`` or ``amdsmi``, or is ``replay`` (recorded readings, from which nothing is learnt), of the hosts' packages
    and DRAM for ``rapl``, of whole nodes for ``sacct``, and None for ``none``.
    ``energy_j`` covers the span that was measured, ``duration_s`` that span. ``epoch_energy_j`` and
    ``epoch_duration_s`` are means over the ``epochs`` that were completed. ``gpu_utilisation`` is a mean in 0..1,
    ``gpu_memory_bytes`` the peak of any one GPU, ``host_memory_bytes`` the peak of any one node (Slurm's MaxRSS or
    the recorder's, whichever is larger). ``quality`` is ``complete`` (every node's trace has its footer), ``cut``
    (a recorder did not live to write it) or ``damaged`` (lines could not be read). ``elapsed_s`` is Slurm's.

    ``predicted`` is None where the job was submitted without a prediction for its placement. ``found_in_job`` is what
    a dry run in the job found, of a training that was not dry-run before; ``workload`` holds its facts too.
    """

    cluster: str
    job_id: str
    array_job_id: str | None
    array_task: str | None
    restart: int
    local: bool
    user: str
    account: str | None
    state: str
    exit_status: int | None
    started_at: float
    partition: str | None
    nodes: int
    gpus: int
    gpu_model: str | None
    memory_bytes: int | None
    cpus: int | None
    workload: Workload
    script_sha256: str | None
    ticket_id: str | None
    followed: bool | None
    energy_j: float | None
    energy_source: str
    quality: str
    mean_power_w: float | None
    epochs: int
    epoch_energy_j: float | None
    epoch_duration_s: float | None
    duration_s: float
    elapsed_s: float | None
    gpu_utilisation: float | None
    gpu_memory_bytes: int | None
    host_memory_bytes: int | None
    host_energy_j: float | None
    predicted: Prediction | None
    model: ModelIdentity | None
    found_in_job: Workload | None = None
