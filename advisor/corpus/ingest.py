"""The spool folder into the corpus: what is new is read, doubted, joined with accounting and stored.

Ingest can be run at any time and as often as one likes: an unchanged trace of a finished job is not read again, a
grown one replaces its run, and each attempt is stored in a transaction of its own, so that a killed ingest has lost
nothing that it had stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from sqlite_utils import Database

from advisor.corpus.accounting import AccountedJob
from advisor.corpus.attempt import build_attempt
from advisor.corpus.belief import JobTicket, NodeTrace, believed_ticket, believed_trace, check_apart, place_of
from advisor.corpus.plausibility import check_header, is_local
from advisor.corpus.rows import Attempt, store
from advisor.corpus.spool import SpoolEntry, read_first_line, trace_entries
from advisor.errors import TelemetryError
from advisor.submission.ticket import ticket_name
from advisor.telemetry.reading import parse_trace
from advisor.telemetry.trace import TraceHeader

Accounting = Callable[[Iterable[str]], Sequence[AccountedJob]]
Progress = Callable[[int, int], None]
# Two attempts that share an id but lie further apart than this are of different jobs: Slurm began to count anew.
_SAME_ATTEMPT_S = 3600.0


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """A file of the spool folder that was not believed, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSummary:
    """What an ingest did. ``traces_skipped`` were unchanged, ``runs_*`` count attempts."""

    traces_read: int
    traces_skipped: int
    runs_added: int
    runs_updated: int
    rejected: tuple[RejectedFile, ...]


@dataclass(frozen=True, slots=True)
class _Key:
    """What the traces of one attempt have in common."""

    cluster: str
    job_id: str
    restart: int
    local: bool

    @classmethod
    def of(cls, header: TraceHeader) -> _Key:
        return cls(header.cluster, header.job_id, header.restart, is_local(header))


@dataclass(slots=True)
class _Ingest:
    """One ingest under way."""

    db: Database
    uid: int
    now_s: float
    read: int = 0
    added: int = 0
    updated: int = 0
    rejected: list[RejectedFile] = field(default_factory=list)

    @property
    def now(self) -> str:
        return datetime.fromtimestamp(self.now_s, tz=timezone.utc).isoformat(timespec="seconds")

    def reject(self, entry: SpoolEntry, reason: str) -> None:
        self.reject_path(entry.path, reason, entry.owner_uid)

    def reject_path(self, path: Path, reason: str, owner_uid: int | None) -> None:
        self.rejected.append(RejectedFile(path, reason))
        with self.db.atomic():
            self.db.execute(
                "INSERT INTO rejected (path, reason, owner_uid, first_seen_at, last_seen_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (path) DO UPDATE SET reason = excluded.reason, last_seen_at = excluded.last_seen_at",
                [str(path), reason, owner_uid, self.now, self.now],
            )

    def accept(self, paths: Iterable[Path]) -> None:
        with self.db.atomic():
            for path in paths:
                self.db.execute("DELETE FROM rejected WHERE path = ?", [str(path)])


def ingest(
    db: Database,
    spool: Path,
    accounting: Accounting,
    *,
    uid: int,
    now_s: float,
    progress: Progress = lambda _done, _all: None,
) -> IngestSummary:
    """Bring a corpus up to date with a spool folder.

    Args:
        db: the corpus, opened by ``store.writing``.
        spool: the folder that job nodes write to.
        accounting: called once, with the ids of all jobs that have news.
        uid: of the ingesting user; local runs are believed of this user only, because no accounting vouches for them.
        now_s: the time, in seconds since the epoch.
        progress: called with the number of attempts done and of all.

    Raises:
        TelemetryError: the folder cannot be read.
        SlurmError: accounting could not be asked; nothing was stored.
    """
    entries = list(trace_entries(spool))
    state = _Ingest(db, uid, now_s)
    news = _entries_with_news(db, entries)
    attempts = _by_attempt(state, news)
    ids = sorted({key.job_id for key in attempts if not key.local})
    accounted = _by_job(accounting(ids) if ids else ())
    by_path = {str(entry.path): entry for entry in entries}
    for done, (key, files) in enumerate(attempts.items()):
        progress(done, len(attempts))
        held = _held_nodes(db, key)
        beside = [by_path[path] for path in held.values() if path in by_path and by_path[path] not in files]
        _ingest_attempt(state, key, [*beside, *files], accounted.get((key.cluster, key.job_id), []))
    progress(len(attempts), len(attempts))
    return IngestSummary(
        traces_read=state.read,
        traces_skipped=len(entries) - len(news),
        runs_added=state.added,
        runs_updated=state.updated,
        rejected=tuple(state.rejected),
    )


def _entries_with_news(db: Database, entries: Sequence[SpoolEntry]) -> list[SpoolEntry]:
    """Leave out what is in the corpus as it lies, unless its job had not ended or a trace beside it has changed."""
    query = (
        "SELECT path, run, bytes, modified_ns, runs.finished AS finished FROM traces JOIN runs ON runs.id = traces.run"
    )
    held = {row["path"]: row for row in db.query(query)}
    changed: list[SpoolEntry] = []
    runs_with_news = set()
    for entry in entries:
        row = held.get(str(entry.path))
        if row is None:
            changed.append(entry)
        elif not row["finished"] or (row["bytes"], row["modified_ns"]) != (entry.size_bytes, entry.modified_ns):
            runs_with_news.add(row["run"])
    again = {path for path, row in held.items() if row["run"] in runs_with_news}
    return changed + [entry for entry in entries if str(entry.path) in again]


def _by_attempt(state: _Ingest, entries: Sequence[SpoolEntry]) -> dict[_Key, list[SpoolEntry]]:
    """Read the headers only: what is asked of accounting is known before any trace is read whole."""
    attempts: dict[_Key, list[SpoolEntry]] = {}
    for entry in entries:
        try:
            header = parse_trace(read_first_line(entry.path)).header
            check_header(header, entry.owner_uid, state.now_s)
        except TelemetryError as exc:
            state.reject(entry, str(exc))
        else:
            attempts.setdefault(_Key.of(header), []).append(entry)
    return attempts


def _by_job(accounted: Iterable[AccountedJob]) -> dict[tuple[str, str], list[AccountedJob]]:
    jobs: dict[tuple[str, str], list[AccountedJob]] = {}
    for job in accounted:
        jobs.setdefault((job.cluster, job.job_id), []).append(job)
    return jobs


def _ingest_attempt(
    state: _Ingest, key: _Key, entries: Sequence[SpoolEntry], accounted: Sequence[AccountedJob]
) -> None:
    nodes: dict[str, NodeTrace] = {}
    for entry in entries:
        try:
            node = believed_trace(entry.path, accounted, uid=state.uid, now_s=state.now_s)
            state.read += 1
            _check_place(node, key, nodes)
            nodes[place_of(node.trace.header)] = node
        except TelemetryError as exc:
            state.reject(entry, str(exc))
    if not nodes:
        return
    attempt = build_attempt(list(nodes.values()), _ticket(state, next(iter(nodes.values()))), now_s=state.now_s)
    reason = _why_not_over_what_is_held(state.db, key, attempt)
    if reason is not None:
        for node in nodes.values():
            state.reject_path(node.file.path, reason, node.file.owner_uid)
        return
    is_new = store(state.db, attempt, state.now)
    state.added += is_new
    state.updated += not is_new
    state.accept([node.file.path for node in nodes.values()])


def _why_not_over_what_is_held(db: Database, key: _Key, attempt: Attempt) -> str | None:
    """Why the run that the corpus holds must not be replaced by this one, or None."""
    held_s = _held_start_s(db, key)
    if held_s is not None and abs(held_s - attempt.run.started_at) > _SAME_ATTEMPT_S:
        return "the corpus holds another run of this job id"
    lost = _held_nodes(db, key).keys() - {trace.node for trace in attempt.traces}
    return f"the corpus holds the run with node {min(lost)}, whose trace is gone" if lost else None


def _check_place(node: NodeTrace, key: _Key, nodes: Mapping[str, NodeTrace]) -> None:
    place = place_of(node.trace.header)
    if _Key.of(node.trace.header) != key:
        raise TelemetryError("it was replaced while it was read")
    if place in nodes:
        raise TelemetryError(f"{nodes[place].file.path.name} is of the same node and attempt")
    for other in nodes.values():
        check_apart(node, other)


def _ticket(state: _Ingest, node: NodeTrace) -> JobTicket | None:
    """The job's ticket; a run whose ticket is not believed is still a run."""
    spool, header = node.file.path.parent, node.trace.header
    job_id = header.array_job_id or header.job_id
    try:
        return believed_ticket(spool, cluster=header.cluster, job_id=job_id, owner_uid=node.file.owner_uid)
    except TelemetryError as exc:
        state.reject_path(spool / ticket_name(header.cluster, job_id), str(exc), None)
        return None


def _held_nodes(db: Database, key: _Key) -> dict[str, str]:
    """The nodes of the run that the corpus holds, each with the path of its trace."""
    query = (
        "SELECT traces.node, traces.path FROM traces JOIN runs ON runs.id = traces.run JOIN jobs ON jobs.id = runs.job"
        " WHERE jobs.cluster = ? AND jobs.job_id = ? AND runs.restart = ?"
    )
    return {row["node"]: row["path"] for row in db.query(query, [key.cluster, key.job_id, key.restart])}


def _held_start_s(db: Database, key: _Key) -> float | None:
    row = db.execute(
        "SELECT runs.started_at FROM runs JOIN jobs ON jobs.id = runs.job"
        " WHERE jobs.cluster = ? AND jobs.job_id = ? AND runs.restart = ?",
        [key.cluster, key.job_id, key.restart],
    ).fetchone()
    return None if row is None else float(row[0])
