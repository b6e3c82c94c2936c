"""What a trace must be like to be believed: pure checks, each with the reason a person reads.

Anyone can write a file into the spool folder. A trace that claims another user's job, or figures that no machine
can have produced, must never reach the regressors; it is refused whole, because a wrong figure is worse than none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence

from advisor.corpus.accounting import AccountedJob
from advisor.corpus.hardware import Hardware
from advisor.errors import TelemetryError
from advisor.prediction.prediction import Estimate, Prediction
from advisor.request.node_selection import is_listed, listed
from advisor.storage.plain_data import to_plain
from advisor.submission.ticket import Ticket
from advisor.telemetry.digest import TraceDigest
from advisor.telemetry.trace import SCHEMA_VERSION, Epoch, GpuSample, Sample, TraceHeader

LOCAL_PREFIX = "local-"
# Clocks of nodes and controller differ, and slurmd starts the batch script before slurmctld hears of it.
CLOCK_SLACK_S = 300.0
SENSORS = frozenset({"nvml", "amdsmi", "replay"})
MAX_EXIT_STATUS = 255
MAX_GPUS_PER_NODE = 64
MAX_NAME_LENGTH = 128
MAX_INTERVAL_S = 3600.0
MAX_NODES = 20_000
# Phases and epochs are counted from 0; no training has more passes.
MAX_COUNT = 1_000_000
MAX_RESTARTS = 100_000
MAX_BYTES = 1 << 50
# Far above any figure of a ticket, and its square is still a number.
MAX_FIGURE = 1e30
# What sacct says while a job has no nodes, or has lost them.
_NO_NODES = frozenset({"", "None assigned", "(null)"})
_NAME = re.compile(r"[\w.+-]{1,128}", re.ASCII)
_LOCAL_ID = re.compile(r"local-[\w.-]{1,100}", re.ASCII)
_RAW_ID = re.compile(r"\d{1,10}", re.ASCII)


class NotYetBelieved(TelemetryError):
    """What is refused now may be believed later: accounting learns of jobs late, and clocks differ."""


def check_header(header: TraceHeader, owner_uid: int, now_s: float) -> None:
    """Refuse a header whose words cannot be true, before anything is looked up by them.

    Raises:
        TelemetryError: with the first reason found.
    """
    for reason in _header_doubts(header, owner_uid):
        raise TelemetryError(reason)
    if header.started_at > now_s + CLOCK_SLACK_S:
        raise NotYetBelieved("it begins in the future")


class SampleCheck:
    """Refuses a sample that no machine makes, or that does not follow on the one before it; one for each trace."""

    def __init__(self, header: TraceHeader, hardware: Hardware, now_s: float) -> None:
        self._latest_s = header.started_at
        self._now_s = now_s
        self._peaks_w = hardware.peaks_w(header.gpus)

    def __call__(self, sample: Sample) -> None:
        """Look at the next sample.

        Raises:
            TelemetryError: it cannot be true.
        """
        # A clock that is set back by a second during the run is no reason to lose it.
        if not self._latest_s - CLOCK_SLACK_S <= sample.time_s <= self._now_s + CLOCK_SLACK_S:
            raise TelemetryError("its samples are not in the order of time")
        self._latest_s = max(self._latest_s, sample.time_s)
        gpus_are_sane = all(map(_gpu_is_sane, sample.gpus, self._peaks_w))
        if not _host_is_sane(sample) or not gpus_are_sane:
            raise TelemetryError("a sample has an impossible reading")


def check_trace(trace: TraceDigest, hardware: Hardware, now_s: float) -> None:
    """Refuse a trace whose own words cannot be true, whatever accounting says; its samples were looked at before.

    Raises:
        TelemetryError: with the first reason found.
    """
    for reason in _doubts(trace, hardware, now_s):
        raise TelemetryError(reason)
    check_numbers(to_plain(trace.workload))


def check_against_accounting(trace: TraceDigest, job: AccountedJob, hardware: Hardware) -> None:
    """Refuse a trace that measured what its job did not have, or where or when it did not run.

    Raises:
        NotYetBelieved: with the first reason found; accounting and the site's catalogue may be mended.
    """
    for reason in (*_place_doubts(trace.header, job, hardware), *_time_doubts(trace, job)):
        raise NotYetBelieved(reason)


def check_in_all(headers: Sequence[TraceHeader], job: AccountedJob) -> None:
    """Refuse traces that together are of more nodes or GPUs than their job was given.

    Raises:
        TelemetryError: they are.
    """
    nodes = {header.node for header in headers}
    if job.nodes and len(nodes) > job.nodes:
        raise TelemetryError(f"traces of {len(nodes)} nodes are there of a job that had {job.nodes}")
    gpus = {(header.node, gpu.uuid) for header in headers if header.gpu_sensor != "replay" for gpu in header.gpus}
    if job.gpus is not None and len(gpus) > job.gpus:
        raise TelemetryError(f"{len(gpus)} GPUs are measured on all nodes of a job that was given {job.gpus}")


def _place_doubts(header: TraceHeader, job: AccountedJob, hardware: Hardware) -> Iterator[str]:
    array_id, _, task = job.shown_id.partition("_")
    if header.array_job_id is not None and (header.array_job_id, header.array_task) != (array_id, task or None):
        yield f"it says task {header.array_task} of array {header.array_job_id}; accounting says {job.shown_id}"
    if header.user not in {job.user, str(job.uid)}:
        yield f"it names user {header.user}, the job is of {job.user}"
    # slurmdbd 22.05 keeps the first node alone of some short jobs: a list that lacks nodes says nothing.
    is_whole = job.node_list not in _NO_NODES and listed(job.node_list) >= job.nodes
    if is_whole and not is_listed(header.node, job.node_list):
        yield f"node {header.node} is none of its job's ({job.node_list[:MAX_NAME_LENGTH]})"
    if job.nodes and header.nodes > job.nodes:
        yield f"it is one of {header.nodes} nodes of a job that had {job.nodes}"
    # Replayed readings are of no GPU of this job, and nothing is learnt from them.
    if header.gpu_sensor == "replay":
        return
    if job.gpus is not None and len(header.gpus) > job.gpus:
        yield f"{len(header.gpus)} GPUs are measured on one node of a job that was given {job.gpus}"
    foreign = hardware.foreign(header.gpus, header.node, job.gpu_types)
    if foreign is not None:
        yield f"node {header.node} or the job has no {foreign} by Slurm (see the setting gpu_catalogue)"


def _time_doubts(trace: TraceDigest, job: AccountedJob) -> Iterator[str]:
    if job.started_at is not None and trace.header.started_at < job.started_at - CLOCK_SLACK_S:
        yield f"it begins before job {job.shown_id} started"
    if job.ended_at is not None and trace.last_time_s > job.ended_at + CLOCK_SLACK_S:
        yield f"it goes on after job {job.shown_id} ended"


def check_ticket(ticket: Ticket, *, cluster: str, job_id: str, users: Collection[str]) -> None:
    """Refuse a ticket that is of another job or user.

    Args:
        ticket: what the file says.
        cluster: of the job.
        job_id: of the job, or of its array.
        users: the names that the job's user goes by: the account's and its uid in digits.

    Raises:
        TelemetryError: the ticket names another cluster, job or user, or holds what no advisor writes.
    """
    check_numbers(to_plain(ticket))
    model = (ticket.model.name, ticket.model.version) if ticket.model else ()
    names = (ticket.ticket_id, ticket.user, ticket.submitted_at, ticket.script_sha256, ticket.objective, *model)
    if not all(_is_name(name) for name in names):
        raise TelemetryError("a name in it is none")
    if (ticket.cluster, ticket.job_id) != (cluster, job_id):
        raise TelemetryError(f"it is of job {ticket.job_id} on {ticket.cluster}")
    if ticket.user not in users:
        raise TelemetryError(f"it is of user {ticket.user}")
    if ticket.prediction is not None and not _is_sane(ticket.prediction):
        raise TelemetryError("it predicts what no training uses")


def _is_sane(prediction: Prediction) -> bool:
    """Whether each estimate is positive, as what it estimates is; logarithms are taken of them."""
    found = [getattr(prediction, name) for name in Prediction.__dataclass_fields__]
    return all(item.value > 0 and item.low >= 0 for item in found if isinstance(item, Estimate))


def check_numbers(plain: object) -> None:
    """Refuse a document with numbers that JSON readers take and no regressor does.

    Raises:
        TelemetryError: a number is NaN, infinite or absurd.
    """
    if isinstance(plain, int | float) and not abs(plain) <= MAX_FIGURE:
        raise TelemetryError("it holds a number that is none, or too large")
    for value in plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ():
        check_numbers(value)


def is_local(header: TraceHeader) -> bool:
    """Whether a trace is of ``gsbatch --local``: Slurm knows nothing of its job."""
    return header.job_id.startswith(LOCAL_PREFIX)


def _doubts(trace: TraceDigest, hardware: Hardware, now_s: float) -> Iterator[str]:
    most_w = hardware.most_w(trace.header.gpus)
    yield from _epoch_doubts(trace, most_w, now_s)
    yield from _footer_doubts(trace, most_w, now_s)
    summary = trace.summary
    # Sums that its GPUs cannot have drawn in its time are of a counter that was made up.
    if not _within(summary.gpu_energy_j, _most_energy_j(trace.header, most_w, summary.duration_s)):
        yield "its GPU energy is more than its GPUs can draw in its time"
    if not _within(summary.mean_power_w, most_w):
        yield "its mean power is more than its GPUs can draw"


def _header_doubts(header: TraceHeader, owner_uid: int) -> Iterator[str]:
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
    yield from _header_number_doubts(header)


def _header_number_doubts(header: TraceHeader) -> Iterator[str]:
    if not 0 < header.started_at < math.inf:
        yield "it begins before 1970"
    if not 0 <= header.restart <= MAX_RESTARTS or not 0 <= header.node_rank < header.nodes <= MAX_NODES:
        yield "its restart or node count is absurd"
    if not 0 < header.interval_s <= MAX_INTERVAL_S:
        yield "its sampling interval is absurd"
    gpu_names = [gpu.name for gpu in header.gpus]
    if len(gpu_names) > MAX_GPUS_PER_NODE or not all(_is_name(name) for name in gpu_names):
        yield "its GPUs are absurd"


def _gpu_is_sane(gpu: GpuSample, most_w: float) -> bool:
    return (
        _within(gpu.power_w, most_w)
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


def _epoch_doubts(trace: TraceDigest, most_w: float, now_s: float) -> Iterator[str]:
    for epoch in trace.epochs:
        if not _epoch_is_sane(epoch, trace.header, most_w, now_s):
            yield f"epoch {epoch.index} of phase {epoch.phase} is impossible"
            return


def _epoch_is_sane(epoch: Epoch, header: TraceHeader, most_w: float, now_s: float) -> bool:
    first_s, last_s = header.started_at - CLOCK_SLACK_S, now_s + CLOCK_SLACK_S
    if not (first_s <= epoch.started_at <= epoch.ended_at <= last_s):
        return False
    return (
        _within(epoch.phase, MAX_COUNT)
        and _within(epoch.index, MAX_COUNT)
        and _within(epoch.gpu_energy_j, _most_energy_j(header, most_w, epoch.ended_at - epoch.started_at))
        and _within(epoch.steps, MAX_BYTES)
        and _within(epoch.samples, MAX_BYTES)
    )


def _footer_doubts(trace: TraceDigest, most_w: float, now_s: float) -> Iterator[str]:
    footer = trace.footer
    if footer is None:
        return
    if not trace.header.started_at - CLOCK_SLACK_S <= footer.ended_at <= now_s + CLOCK_SLACK_S:
        yield "it ends before it begins, or in the future"
    most_j = _most_energy_j(trace.header, most_w, footer.ended_at - trace.header.started_at)
    if not _within(footer.gpu_energy_counter_j, most_j) or not _within(footer.gpu_energy_integral_j, most_j):
        yield "its GPU energy is more than its GPUs can draw in its time"
    if not _within(footer.host_energy_j, math.inf):
        yield "its host energy is impossible"
    if not _within(footer.exit_status, MAX_EXIT_STATUS):
        yield "its exit status is impossible"


def _most_energy_j(header: TraceHeader, most_w: float, duration_s: float) -> float:
    # A counter read a sample apart from the epoch's mark may hold a few seconds more than the epoch.
    return most_w * (max(duration_s, 0.0) + 2 * max(header.interval_s, 1.0))


def _is_name(text: str) -> bool:
    """Whether a database takes it and a terminal shows it: JSON knows halves of characters, and control characters."""
    return text.isprintable() and len(text) <= MAX_NAME_LENGTH


def _within(value: float | None, most: float) -> bool:
    """Whether a reading is absent, or a number from 0 to ``most`` (NaN and infinity are not)."""
    return value is None or (0 <= value <= most and value != math.inf)
