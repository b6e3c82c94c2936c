"""What a trace must be like to be believed: pure checks, each with the reason a person reads.

Anyone can write a file into the spool folder. A trace that claims another user's job, or figures that no machine
can have produced, must never reach the regressors; it is refused whole, because a wrong figure is worse than none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from advisor.corpus.accounting import AccountedJob
from advisor.errors import TelemetryError
from advisor.storage.plain_data import to_plain
from advisor.submission.ticket import Ticket
from advisor.telemetry.reading import Summary
from advisor.telemetry.trace import SCHEMA_VERSION, Epoch, GpuSample, Sample, Trace, TraceHeader

LOCAL_PREFIX = "local-"
# Clocks of nodes and controller differ, and slurmd starts the batch script before slurmctld hears of it.
CLOCK_SLACK_S = 300.0
SENSORS = frozenset({"nvml", "amdsmi", "replay"})
MAX_EXIT_STATUS = 255
# Twice the 1,400 W of the largest single GPU sold (NVIDIA GB300): more is a broken sensor or an invention.
MAX_GPU_POWER_W = 2800.0
MAX_GPUS_PER_NODE = 64
MAX_NAME_LENGTH = 128
MAX_INTERVAL_S = 3600.0
MAX_NODES = 20_000
MAX_EPOCHS = 1_000_000
MAX_RESTARTS = 100_000
MAX_BYTES = 1 << 50
# Far above any figure of a ticket, and its square is still a number.
MAX_FIGURE = 1e30
_NAME = re.compile(r"[\w.+-]{1,128}", re.ASCII)
_LOCAL_ID = re.compile(r"local-[\w.-]{1,100}", re.ASCII)
_RAW_ID = re.compile(r"\d{1,10}", re.ASCII)


def check_header(header: TraceHeader, owner_uid: int, now_s: float) -> None:
    """Refuse a header whose words cannot be true, before anything is looked up by them.

    Raises:
        TelemetryError: with the first reason found.
    """
    for reason in _header_doubts(header, owner_uid, now_s):
        raise TelemetryError(reason)


def check_trace(trace: Trace, owner_uid: int, now_s: float) -> None:
    """Refuse a trace whose own words cannot be true, whatever accounting says.

    Raises:
        TelemetryError: with the first reason found.
    """
    for reason in _doubts(trace, owner_uid, now_s):
        raise TelemetryError(reason)
    check_numbers(to_plain(trace.workload))


def check_summary(trace: Trace, summary: Summary) -> None:
    """Refuse sums that its GPUs cannot have drawn in its time, such as of a counter that was made up.

    Raises:
        TelemetryError: the energy or the duration is absurd.
    """
    if not _within(summary.gpu_energy_j, _most_energy_j(trace.header, summary.duration_s)):
        raise TelemetryError("its GPU energy is more than its GPUs can draw in its time")
    if not _within(summary.mean_power_w, len(trace.header.gpus) * MAX_GPU_POWER_W):
        raise TelemetryError("its mean power is more than its GPUs can draw")


def check_against_accounting(trace: Trace, job: AccountedJob) -> None:
    """Refuse a trace that measured what its job did not have, or when it did not run.

    Raises:
        TelemetryError: with the first reason found.
    """
    # Replayed readings are of no GPU of this job, and nothing is learnt from them.
    measured_here = trace.header.gpu_sensor != "replay"
    if measured_here and job.gpus is not None and len(trace.header.gpus) > job.gpus:
        raise TelemetryError(
            f"{len(trace.header.gpus)} GPUs are measured on one node of a job that was given {job.gpus}"
        )
    if job.started_at is not None and trace.header.started_at < job.started_at - CLOCK_SLACK_S:
        raise TelemetryError(f"it begins before job {job.shown_id} started")
    end_s = last_time_s(trace)
    if job.ended_at is not None and end_s > job.ended_at + CLOCK_SLACK_S:
        raise TelemetryError(f"it goes on after job {job.shown_id} ended")


def check_ticket(ticket: Ticket, *, cluster: str, job_id: str) -> None:
    """Refuse a ticket that is of another job.

    Raises:
        TelemetryError: the ticket names another cluster or job, or holds what no advisor writes.
    """
    check_numbers(to_plain(ticket))
    model = (ticket.model.name, ticket.model.version) if ticket.model else ()
    names = (ticket.ticket_id, ticket.user, ticket.submitted_at, ticket.script_sha256, ticket.objective, *model)
    if not all(_is_name(name) for name in names):
        raise TelemetryError("a name in it is none")
    if (ticket.cluster, ticket.job_id) != (cluster, job_id):
        raise TelemetryError(f"it is of job {ticket.job_id} on {ticket.cluster}")


def check_numbers(plain: object) -> None:
    """Refuse a document with numbers that JSON readers take and no regressor does.

    Raises:
        TelemetryError: a number is NaN, infinite or absurd.
    """
    if isinstance(plain, int | float) and not abs(plain) <= MAX_FIGURE:
        raise TelemetryError("it holds a number that is none, or too large")
    for value in plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ():
        check_numbers(value)


def last_time_s(trace: Trace) -> float:
    """The last instant that a trace speaks of, in seconds since the epoch."""
    times = [trace.header.started_at]
    times += [trace.samples[-1].time_s] if trace.samples else []
    times += [trace.epochs[-1].ended_at] if trace.epochs else []
    times += [trace.footer.ended_at] if trace.footer else []
    return max(times)


def is_local(header: TraceHeader) -> bool:
    """Whether a trace is of ``gsbatch --local``: Slurm knows nothing of its job."""
    return header.job_id.startswith(LOCAL_PREFIX)


def _doubts(trace: Trace, owner_uid: int, now_s: float) -> Iterator[str]:
    yield from _header_doubts(trace.header, owner_uid, now_s)
    yield from _sample_doubts(trace, now_s)
    yield from _epoch_doubts(trace, now_s)
    yield from _footer_doubts(trace, now_s)


def _header_doubts(header: TraceHeader, owner_uid: int, now_s: float) -> Iterator[str]:
    if not 1 <= header.schema <= SCHEMA_VERSION:
        yield f"it has schema {header.schema}; this program reads 1 to {SCHEMA_VERSION}"
    names = (
        header.cluster,
        header.node,
        header.user,
        header.partition,
        header.ticket_id,
        header.array_task,
        header.step,
    )
    if any(name is not None and _NAME.fullmatch(name) is None for name in names):
        yield "a name in its header is not one that Slurm allows"
    if _RAW_ID.fullmatch(header.job_id) is None and _LOCAL_ID.fullmatch(header.job_id) is None:
        yield "its job id is neither Slurm's nor local"
    if header.array_job_id is not None and _RAW_ID.fullmatch(header.array_job_id) is None:
        yield "its array's job id is not Slurm's"
    if header.uid != owner_uid:
        yield f"it names uid {header.uid}, but the file belongs to uid {owner_uid}"
    if header.gpu_sensor not in SENSORS:
        yield "its GPU sensor is none that this program knows"
    yield from _header_number_doubts(header, now_s)


def _header_number_doubts(header: TraceHeader, now_s: float) -> Iterator[str]:
    if not 0 < header.started_at <= now_s + CLOCK_SLACK_S:
        yield "it begins in the future or before 1970"
    if not 0 <= header.restart <= MAX_RESTARTS or not 0 <= header.node_rank < header.nodes <= MAX_NODES:
        yield "its restart or node count is absurd"
    if not 0 < header.interval_s <= MAX_INTERVAL_S:
        yield "its sampling interval is absurd"
    gpu_names = [gpu.name for gpu in header.gpus]
    if len(gpu_names) > MAX_GPUS_PER_NODE or not all(_is_name(name) for name in gpu_names):
        yield "its GPUs are absurd"


def _sample_doubts(trace: Trace, now_s: float) -> Iterator[str]:
    latest_s = trace.header.started_at
    for sample in trace.samples:
        # A clock that is set back by a second during the run is no reason to lose it.
        if not latest_s - CLOCK_SLACK_S <= sample.time_s <= now_s + CLOCK_SLACK_S:
            yield "its samples are not in the order of time"
            return
        latest_s = max(latest_s, sample.time_s)
        if not _host_is_sane(sample) or not all(_gpu_is_sane(gpu) for gpu in sample.gpus):
            yield "a sample has an impossible reading"
            return


def _gpu_is_sane(gpu: GpuSample) -> bool:
    return (
        _within(gpu.power_w, MAX_GPU_POWER_W)
        and _within(gpu.energy_counter_j, math.inf)
        and _within(gpu.utilisation, 1.0)
        and _within(gpu.memory_used_bytes, MAX_BYTES)
    )


def _host_is_sane(sample: Sample) -> bool:
    host = sample.host
    return (
        _within(host.cpu_time_s, math.inf)
        and _within(host.memory_bytes, MAX_BYTES)
        and _within(host.rapl_package_j, math.inf)
        and _within(host.rapl_dram_j, math.inf)
    )


def _epoch_doubts(trace: Trace, now_s: float) -> Iterator[str]:
    if len(trace.epochs) > MAX_EPOCHS:
        yield f"it has more than {MAX_EPOCHS} epochs"
        return
    for epoch in trace.epochs:
        if not _epoch_is_sane(epoch, trace.header, now_s):
            yield f"epoch {epoch.index} of phase {epoch.phase} is impossible"
            return


def _epoch_is_sane(epoch: Epoch, header: TraceHeader, now_s: float) -> bool:
    first_s, last_s = header.started_at - CLOCK_SLACK_S, now_s + CLOCK_SLACK_S
    if not (first_s <= epoch.started_at <= epoch.ended_at <= last_s):
        return False
    return (
        _within(epoch.phase, MAX_EPOCHS)
        and _within(epoch.index, MAX_EPOCHS)
        and _within(epoch.gpu_energy_j, _most_energy_j(header, epoch.ended_at - epoch.started_at))
        and _within(epoch.steps, MAX_BYTES)
        and _within(epoch.samples, MAX_BYTES)
    )


def _footer_doubts(trace: Trace, now_s: float) -> Iterator[str]:
    footer = trace.footer
    if footer is None:
        return
    if not trace.header.started_at - CLOCK_SLACK_S <= footer.ended_at <= now_s + CLOCK_SLACK_S:
        yield "it ends before it begins, or in the future"
    most_j = _most_energy_j(trace.header, footer.ended_at - trace.header.started_at)
    if not _within(footer.gpu_energy_counter_j, most_j) or not _within(footer.gpu_energy_integral_j, most_j):
        yield "its GPU energy is more than its GPUs can draw in its time"
    if not _within(footer.host_energy_j, math.inf):
        yield "its host energy is impossible"
    if not _within(footer.exit_status, MAX_EXIT_STATUS):
        yield "its exit status is impossible"


def _most_energy_j(header: TraceHeader, duration_s: float) -> float:
    # A counter read a sample apart from the epoch's mark may hold a few seconds more than the epoch.
    return len(header.gpus) * MAX_GPU_POWER_W * (max(duration_s, 0.0) + 2 * max(header.interval_s, 1.0))


def _is_name(text: str) -> bool:
    """Whether a database takes it and a terminal shows it: JSON knows halves of characters, and control characters."""
    return text.isprintable() and len(text) <= MAX_NAME_LENGTH


def _within(value: float | None, most: float) -> bool:
    """Whether a reading is absent, or a number from 0 to ``most`` (NaN and infinity are not)."""
    return value is None or (0 <= value <= most and value != math.inf)
