"""The trace of one attempt of one job on one node: JSON Lines, a line per record, each complete on its own.

File name: ``cluster-jobid[_task]-restart-node.trace.jsonl``. The first line is the header, the last the footer; a file
cut anywhere is readable up to the cut. Times are seconds since the epoch (``time.time``), energies J, powers W.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.inspection.workload import Workload

SCHEMA_VERSION = 1
TRACE_SUFFIX = ".trace.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceHeader:
    """Who measured what, where. ``array_task`` is None outside arrays; ``restart`` is SLURM_RESTART_COUNT or 0.

    ``job_id`` is the id that sacct lists as JobIDRaw; ``array_job_id`` the array's id. ``gpus`` names the GPUs that
    are sampled (UUID and name); empty with ``gpu_note`` saying why where none are. ``gpu_sensor`` is ``nvml``,
    ``amdsmi``, or ``replay`` where recorded readings stood in for it. ``step`` is the Slurm step whose tasks had this
    node measured; None where the recorder itself ran.
    """

    schema: int
    cluster: str
    job_id: str
    array_job_id: str | None
    array_task: str | None
    restart: int
    node: str
    node_rank: int
    nodes: int
    uid: int
    user: str
    started_at: float
    command: tuple[str, ...]
    ticket_id: str | None
    interval_s: float
    gpus: tuple[TracedGpu, ...]
    gpu_note: str | None
    host_note: str | None
    partition: str | None
    recorder_version: str
    gpu_sensor: str = "nvml"
    step: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedGpu:
    """A GPU whose readings stand in the trace."""

    uuid: str
    name: str
    has_energy_counter: bool
    memory_bytes: int | None = None
    power_limit_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSample:
    """One reading of one GPU, in the order of ``TraceHeader.gpus``. None is "this card does not say"."""

    power_w: float | None = None
    energy_counter_j: float | None = None
    utilisation: float | None = None
    memory_used_bytes: int | None = None
    temperature_c: float | None = None
    sm_clock_mhz: int | None = None
    throttle_reasons: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSample:
    """One reading of the host: the job's own processes (CPU seconds so far, resident bytes) and RAPL (J so far)."""

    cpu_time_s: float | None = None
    memory_bytes: int | None = None
    rapl_package_j: float | None = None
    rapl_dram_j: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """All readings of one instant."""

    time_s: float
    gpus: tuple[GpuSample, ...]
    host: HostSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch as the hook marked it. ``phase`` counts the fits of the script from 0, ``index`` the epochs in it.

    ``gpu_energy_j`` is the sum over the node's GPUs, None where no GPU was sampled: by their counters where every card
    has one (``gpu_energy_counter_j``), else by sampled power (``gpu_energy_integral_j``). ``steps`` and ``samples`` are
    of training only; ``samples`` is None where it could not be seen. ``validation`` marks a pass over validation data
    that was seen apart from the training; where it is part of the epoch (Keras ``fit``), it is counted in it and not
    marked.
    """

    phase: int
    index: int
    started_at: float
    ended_at: float
    steps: int | None
    samples: int | None
    gpu_energy_j: float | None
    validation: bool = False
    gpu_energy_counter_j: float | None = None
    gpu_energy_integral_j: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """The run's total as projected at the end of an epoch (J and s), with the 90% interval's ends.

    ``method`` is ``early`` while epochs are not stable yet, and then each of ``power``, ``epoch_energy`` and, the one
    to show, ``stable``; see ``projection.py``. ``epochs_done`` of ``epochs_in_all`` had ended, of the phase at hand;
    ``stable_from`` is the index of the first epoch that counted as stable.
    """

    time_s: float
    method: str
    energy_j: float
    energy_low_j: float
    energy_high_j: float
    duration_s: float | None
    epochs_done: int | None = None
    epochs_in_all: int | None = None
    stable_from: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """That the training was to be stopped after an epoch, because its user had asked for it.

    ``rule`` is ``energy_budget`` or ``gain_per_kj``, ``reason`` says it in words and figures. ``by`` is how the
    training was told (``keras``, ``lightning``, ``transformers``, ``signal USR1``, ``none`` with the reason); the
    decision is written first, with None, and again when the training has been told.
    """

    time_s: float
    phase: int
    index: int
    rule: str
    reason: str
    by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWorkload:
    """What a dry run in the job found of the training beside it, where there was none at submission."""

    time_s: float
    workload: Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFooter:
    """How the attempt ended.

    ``exit_status`` is what the job's exit status was, 128+n for signal n; None on a node without the recorder.
    ``energy_source`` is ``nvml_counter``, ``nvml_integral``, the same of ``amdsmi``, ``replay`` or ``none``
    and names which of the two energies counts. ``host_energy_source`` is ``rapl`` (of the whole node), ``estimate`` (of
    the job's own processes, from CPU time and memory by the constants of ``host.py``) or ``none``.
    """

    ended_at: float
    exit_status: int | None
    reason: str
    energy_source: str
    gpu_energy_counter_j: float | None
    gpu_energy_integral_j: float | None
    host_energy_j: float | None
    host_energy_source: str
    samples: int
    epochs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A trace read back.

    ``footer`` is None where the recorder did not live to write it; ``damaged_lines`` counts
    lines that could not be read (at most the last one, unless the file was altered). ``workload`` is None where the
    training was not inspected in the job.
    """

    header: TraceHeader
    samples: tuple[Sample, ...]
    epochs: tuple[Epoch, ...]
    projections: tuple[Projection, ...]
    footer: TraceFooter | None
    damaged_lines: int = 0
    stops: tuple[Stop, ...] = ()
    workload: Workload | None = None
