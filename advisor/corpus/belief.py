"""Files of the spool folder as believed traces and tickets: one rule for ingest and for gseff."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from advisor.corpus.accounting import AccountedJob
from advisor.corpus.hardware import Hardware
from advisor.corpus.plausibility import (
    NotYetBelieved,
    SampleCheck,
    check_against_accounting,
    check_header,
    check_ticket,
    check_trace,
    is_local,
)
from advisor.corpus.spool import opened_trace, read_ticket_file
from advisor.errors import TelemetryError
from advisor.storage.untrusted_file import FileState, TextFile, check_owner
from advisor.submission.ticket import Ticket, ticket_from_json, ticket_name
from advisor.telemetry.digest import DigestBuilder, TraceDigest, header_of_line, lines_of
from advisor.telemetry.trace import TraceHeader

# slurmctld dates the start of a job, the node the start of its recorder: their clocks may differ by so much.
_CLOCK_SKEW_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTrace:
    """One believed trace, the file it came from, and the attempt it is of (None for local runs)."""

    trace: TraceDigest
    file: FileState
    job: AccountedJob | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTicket:
    """One believed ticket with the file it came from."""

    ticket: Ticket
    file: TextFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads, when, and what is known of the cluster's GPUs.

    ``uid`` is of the reader: local runs are believed of this user only, because no accounting vouches for them.
    ``now_s`` is the time, in seconds since the epoch.
    """

    uid: int
    now_s: float
    hardware: Hardware = field(default_factory=Hardware)


def believed_trace(path: Path, accounted: Iterable[AccountedJob], reader: Reader) -> NodeTrace:
    """Read a trace and doubt it, line by line.

    Args:
        path: the file.
        accounted: the attempts of the trace's job, as accounting knows them.
        reader: who reads it.

    Raises:
        TelemetryError: it is not believed, with the reason.
    """
    with opened_trace(path) as file:
        lines = lines_of(file.pieces())
        # The header is looked at before the rest, which may be half a gigabyte of somebody who has no job.
        header = header_of_line(next(lines, b""))
        check_header(header, file.owner_uid, reader.now_s)
        job = _vouched_job(header, file.owner_uid, accounted, reader.uid)
        builder = DigestBuilder(header, SampleCheck(header, reader.hardware, reader.now_s))
        for line in lines:
            builder.take_line(line)
        state = file.state()
    trace = builder.digest()
    check_trace(trace, reader.hardware, reader.now_s)
    if job is not None:
        check_against_accounting(trace, job, reader.hardware)
    return NodeTrace(trace=trace, file=state, job=job)


def _vouched_job(
    header: TraceHeader, owner_uid: int, accounted: Iterable[AccountedJob], reader_uid: int
) -> AccountedJob | None:
    """The attempt in which a trace was written, None for the reader's own local runs."""
    if is_local(header):
        if owner_uid != reader_uid:
            raise TelemetryError("it is of a local run of another user, for which no accounting vouches")
        return None
    job = matching_attempt(header, accounted)
    if job is None:
        raise NotYetBelieved(f"accounting knows no started job {header.job_id} on {header.cluster}")
    if job.uid is None:
        raise NotYetBelieved(f"job {job.shown_id} belongs to {job.user}, whose uid is not known")
    if job.uid != owner_uid:
        raise TelemetryError(f"job {job.shown_id} belongs to {job.user} (uid {job.uid}), the file to uid {owner_uid}")
    return job


def place_of(header: TraceHeader) -> str:
    """Where a trace of an attempt was written: a node has one of the recorder's, or one of each step."""
    return header.node if header.step is None else f"{header.node}.{header.step}"


def rank_of(header: TraceHeader) -> tuple[bool, int, str, str]:
    """The order of an attempt's traces: the recorder's own first, because a step counts its nodes from 0 again."""
    return header.step is not None, header.node_rank, header.node, header.step or ""


def check_apart(one: NodeTrace, other: NodeTrace) -> None:
    """Refuse a trace that measured the same GPUs of a node at the same time as another: nothing is counted twice.

    Raises:
        TelemetryError: it did.
    """
    first, second = one.trace.header, other.trace.header
    has_shared = {gpu.uuid for gpu in first.gpus} & {gpu.uuid for gpu in second.gpus}
    meet = first.started_at < other.trace.last_time_s and second.started_at < one.trace.last_time_s
    if first.node == second.node and has_shared and meet:
        raise TelemetryError(f"{other.file.path.name} measured the same GPUs at the same time")


def matching_attempt(header: TraceHeader, accounted: Iterable[AccountedJob]) -> AccountedJob | None:
    """The attempt of a requeued job in which a trace was written: of those that had started by then, the nearest.

    Restarts are not counted instead, because accounting purges old attempts and Slurm 22.05 does not number them.
    """
    started = [
        (job.started_at, job)
        for job in accounted
        if job.cluster == header.cluster and job.job_id == header.job_id and job.started_at is not None
    ]
    before = [item for item in started if item[0] <= header.started_at + _CLOCK_SKEW_S]
    if before:
        return min(before, key=lambda item: abs(header.started_at - item[0]))[1]
    return min(started, key=lambda item: item[0])[1] if started else None


def believed_ticket(spool: Path, *, cluster: str, job_id: str, owner_uid: int, user: str) -> JobTicket | None:
    """Read the ticket of a job; None where it has none.

    Args:
        spool: the folder in which tickets lie.
        cluster: the job's cluster.
        job_id: the job's id, or its array's: one ticket serves all tasks.
        owner_uid: the job's user.
        user: the name of that account.

    Raises:
        TelemetryError: it is not believed: of another owner or job, or no ticket; the message names the file.
    """
    path = spool / ticket_name(cluster, job_id)
    if not path.exists() and not path.is_symlink():
        return None
    try:
        file = read_ticket_file(path)
        check_owner(file.state.owner_uid, owner_uid)
        ticket = ticket_from_json(file.text)
        check_ticket(ticket, cluster=cluster, job_id=job_id, users={user, str(owner_uid)})
    except TelemetryError as exc:
        raise TelemetryError(f"{path.name}: {exc}") from exc
    return JobTicket(ticket=ticket, file=file)
