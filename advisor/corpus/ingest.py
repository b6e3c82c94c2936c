"""The spool folder into the corpus: what is new is read, doubted, joined with accounting and stored.

Ingest can be run at any time and as often as one likes: an unchanged trace of a finished job is not read again, a
grown one replaces its run while the job runs, and each attempt is stored in a transaction of its own, so that a killed
ingest has lost nothing that it had stored. No file ends it, and no user's files take the time of the others'.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from sqlite_utils import Database

from advisor.corpus.accounting import AccountedJob
from advisor.corpus.attempt import build_attempt
from advisor.corpus.belief import (
    JobTicket,
    NodeTrace,
    Reader,
    believed_ticket,
    believed_trace,
    check_apart,
    place_of,
    rank_of,
)
from advisor.corpus.plausibility import NotYetBelieved, check_header, check_in_all, is_local
from advisor.corpus.refusals import Refusals, RejectedFile
from advisor.corpus.rows import Attempt, store
from advisor.corpus.spool import Listing, SpoolEntry, list_spool, read_header
from advisor.errors import AdvisorError, TelemetryError
from advisor.submission.ticket import ticket_name
from advisor.telemetry.trace import TraceHeader

Accounting = Callable[[Iterable[str]], Sequence[AccountedJob]]
Progress = Callable[[int, int], None]
# Two attempts that share an id but lie further apart than this are of different jobs: Slurm began to count anew.
_SAME_ATTEMPT_S = 3600.0
# A trace may reach the spool late, or lose its end to a killed recorder; after this a finished run stays as it is.
_SETTLED_AFTER_S = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one user's files may take of one ingest; what is left comes first next time.

    ``seconds`` of reading, ``epochs`` as rows, and ``jobs`` that accounting is asked for.
    """

    seconds: float = 120.0
    epochs: int = 500_000
    jobs: int = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSummary:
    """What an ingest did.

    ``spool`` is the folder that was read. ``traces_skipped`` were unchanged, ``runs_*`` count attempts. ``rejected``
    are the files that were looked at and not believed; ``rejected_before`` counts those that were refused earlier and
    not looked at again, ``deferred`` those of users whose share of this ingest was used up.
    """

    traces_read: int
    traces_skipped: int
    runs_added: int
    runs_updated: int
    rejected: tuple[RejectedFile, ...]
    spool: Path
    rejected_before: int = 0
    deferred: int = 0

    @property
    def found(self) -> int:
        """How many traces lie in the spool folder."""
        return self.traces_read + self.traces_skipped + len(self.rejected) + self.rejected_before + self.deferred


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
class _Shares:
    """How much of its share each user has used."""

    quota: Quota
    clock: Callable[[], float]
    seconds: Counter[int] = field(default_factory=Counter)
    epochs: Counter[int] = field(default_factory=Counter)
    jobs: dict[int, set[str]] = field(default_factory=dict)

    def has(self, uid: int) -> bool:
        return self.seconds[uid] < self.quota.seconds and self.epochs[uid] < self.quota.epochs

    def takes_job(self, uid: int, job_id: str) -> bool:
        """Whether accounting may be asked for one more job of a user."""
        asked = self.jobs.setdefault(uid, set())
        if job_id not in asked and len(asked) >= self.quota.jobs:
            return False
        asked.add(job_id)
        return True

    @contextmanager
    def timed(self, uid: int) -> Iterator[None]:
        began_s = self.clock()
        try:
            yield
        finally:
            self.seconds[uid] += self.clock() - began_s  # type: ignore[assignment]  # a Counter of float counts too


@dataclass(slots=True)
class _Ingest:
    """One ingest under way."""

    db: Database
    reader: Reader
    shares: _Shares
    refusals: Refusals
    read: int = 0
    added: int = 0
    updated: int = 0
    deferred: int = 0

    @property
    def now(self) -> str:
        return datetime.fromtimestamp(self.reader.now_s, tz=timezone.utc).isoformat(timespec="seconds")

    def reject(self, entry: SpoolEntry, reason: TelemetryError) -> None:
        self.refusals.add(entry, str(reason), final=not isinstance(reason, NotYetBelieved))


def ingest(
    db: Database,
    spool: Path,
    accounting: Accounting,
    reader: Reader,
    *,
    quota: Quota = Quota(),
    clock: Callable[[], float] = time.monotonic,
    progress: Progress = lambda _done, _all: None,
) -> IngestSummary:
    """Bring a corpus up to date with a spool folder.

    Args:
        db: the corpus, opened by ``store.writing``.
        spool: the folder that job nodes write to.
        accounting: called once, with the ids of all jobs that have news.
        reader: who ingests, when, and what is known of the cluster's GPUs.
        quota: what one user's files may take.
        clock: monotonic seconds.
        progress: called with the number of attempts done and of all.

    Raises:
        TelemetryError: the folder cannot be read.
        SlurmError: accounting could not be asked; nothing was stored.
    """
    listing = list_spool(spool)
    state = _Ingest(db, reader, _Shares(quota, clock), Refusals(db, reader.now_s))
    state.refusals.prune(listing)
    unsettled = [entry for entry in listing.entries if not state.refusals.is_settled(entry)]
    news = _entries_with_news(db, unsettled)
    attempts = _by_attempt(state, news)
    ids = sorted({key.job_id for key in attempts if not key.local})
    accounted = _by_job(accounting(ids) if ids else ())
    _ingest_attempts(state, listing, attempts, accounted, progress)
    return IngestSummary(
        traces_read=state.read,
        traces_skipped=len(unsettled) - len(news),
        runs_added=state.added,
        runs_updated=state.updated,
        rejected=tuple(state.refusals.found),
        spool=listing.folder,
        rejected_before=len(listing.entries) - len(unsettled),
        deferred=state.deferred + sum(listing.passed_over.values()),
    )


def _ingest_attempts(
    state: _Ingest,
    listing: Listing,
    attempts: Mapping[_Key, list[SpoolEntry]],
    accounted: Mapping[tuple[str, str], list[AccountedJob]],
    progress: Progress,
) -> None:
    by_path = {str(entry.path): entry for entry in listing.entries}
    for done, (key, files) in enumerate(attempts.items()):
        progress(done, len(attempts))
        uid = files[0].owner_uid
        if not state.shares.has(uid):
            state.deferred += len(files)
            continue
        held = _held_nodes(state.db, key)
        beside = [by_path[path] for path in held.values() if path in by_path and by_path[path] not in files]
        with state.shares.timed(uid):
            _ingest_attempt(state, key, [*beside, *files], accounted.get((key.cluster, key.job_id), []))
    state.refusals.flush()
    progress(len(attempts), len(attempts))


def _entries_with_news(db: Database, entries: Sequence[SpoolEntry]) -> list[SpoolEntry]:
    """Leave out what is in the corpus as it lies, unless its job had not ended or a trace beside it has changed."""
    query = (
        "SELECT run, bytes, modified_ns, finished FROM traces JOIN runs ON runs.id = traces.run WHERE traces.path = ?"
    )
    changed: list[SpoolEntry] = []
    held: dict[str, int] = {}
    runs_with_news = set()
    for entry in entries:
        row = db.execute(query, [str(entry.path)]).fetchone()
        if row is None:
            changed.append(entry)
            continue
        run, size_bytes, modified_ns, is_finished = row
        held[str(entry.path)] = run
        if not is_finished or (size_bytes, modified_ns) != (entry.size_bytes, entry.modified_ns):
            runs_with_news.add(run)
    return changed + [entry for entry in entries if held.get(str(entry.path)) in runs_with_news]


def _by_attempt(state: _Ingest, entries: Sequence[SpoolEntry]) -> dict[_Key, list[SpoolEntry]]:
    """Read the headers only: what is asked of accounting is known before any trace is read whole."""
    attempts: dict[_Key, list[SpoolEntry]] = {}
    for entry in entries:
        if not state.shares.has(entry.owner_uid):
            state.deferred += 1
            continue
        with state.shares.timed(entry.owner_uid), _guarded(state, entry):
            header = read_header(entry.path)
            check_header(header, entry.owner_uid, state.reader.now_s)
            key = _Key.of(header)
            if key.local or state.shares.takes_job(entry.owner_uid, key.job_id):
                attempts.setdefault(key, []).append(entry)
            else:
                state.deferred += 1
    return attempts


@contextmanager
def _guarded(state: _Ingest, entry: SpoolEntry) -> Iterator[None]:
    """Whatever a file holds costs that file alone."""
    try:
        yield
    except TelemetryError as exc:
        state.reject(entry, exc)
    except (AdvisorError, sqlite3.Error, OSError):  # the corpus, its disk or Slurm: no fault of the file
        raise
    except Exception as exc:  # noqa: BLE001 (a fault of ours that one user's file met must not stop all others')
        state.reject(entry, NotYetBelieved(f"it could not be read ({type(exc).__name__}); this is a fault of gsbatch"))


def _by_job(accounted: Iterable[AccountedJob]) -> dict[tuple[str, str], list[AccountedJob]]:
    jobs: dict[tuple[str, str], list[AccountedJob]] = {}
    for job in accounted:
        jobs.setdefault((job.cluster, job.job_id), []).append(job)
    return jobs


def _ingest_attempt(
    state: _Ingest, key: _Key, entries: Sequence[SpoolEntry], accounted: Sequence[AccountedJob]
) -> None:
    nodes: dict[str, NodeTrace] = {}
    files: dict[str, SpoolEntry] = {}
    for entry in entries:
        with _guarded(state, entry):
            node = believed_trace(entry.path, accounted, state.reader)
            state.read += 1
            _check_place(node, key, nodes)
            _check_all(node, nodes)
            nodes[place_of(node.trace.header)] = node
            files[place_of(node.trace.header)] = entry
    if not nodes:
        return
    first = min(nodes.values(), key=lambda node: rank_of(node.trace.header))
    with _guarded(state, files[place_of(first.trace.header)]):
        _store_attempt(state, key, nodes, files)


def _store_attempt(state: _Ingest, key: _Key, nodes: Mapping[str, NodeTrace], files: Mapping[str, SpoolEntry]) -> None:
    first = min(nodes.values(), key=lambda node: rank_of(node.trace.header))
    attempt = build_attempt(list(nodes.values()), _ticket(state, first), now_s=state.reader.now_s)
    reason = _why_not_over_what_is_held(state, key, attempt)
    if reason is not None:
        for entry in files.values():
            if not _is_held(state.db, entry):
                state.reject(entry, reason)
        return
    is_new = store(state.db, attempt, state.now)
    state.shares.epochs[files[place_of(first.trace.header)].owner_uid] += len(attempt.epochs)
    state.added += is_new
    state.updated += not is_new
    state.refusals.accept(node.file.path for node in nodes.values())


def _why_not_over_what_is_held(state: _Ingest, key: _Key, attempt: Attempt) -> TelemetryError | None:
    """Why the run that the corpus holds must not be replaced by this one, or None."""
    other = _restart_with_start(state.db, key, attempt.accounted_start_s)
    if other is not None:
        return TelemetryError(f"accounting knows one attempt where this is restart {key.restart} beside {other}")
    held = state.db.execute(_HELD, [key.cluster, key.job_id, key.restart]).fetchone()
    if held is None:
        return None
    started_at, is_finished, quality, elapsed_s = held
    if abs(started_at - attempt.run.started_at) > _SAME_ATTEMPT_S:
        return TelemetryError("the corpus holds another run of this job id")
    is_old = state.reader.now_s > started_at + (elapsed_s or 0.0) + _SETTLED_AFTER_S
    if is_finished and (quality == "complete" or is_old):
        return TelemetryError("its run has ended and is in the corpus; it is not written anew")
    lost = _held_nodes(state.db, key).keys() - {trace.node for trace in attempt.traces}
    return TelemetryError(f"the corpus holds the run with node {min(lost)}, whose trace is gone") if lost else None


def _is_held(db: Database, entry: SpoolEntry) -> bool:
    """Whether the corpus holds a file as it lies."""
    row = db.execute("SELECT bytes, modified_ns FROM traces WHERE path = ?", [str(entry.path)]).fetchone()
    return row is not None and tuple(row) == (entry.size_bytes, entry.modified_ns)


_HELD = """
    SELECT runs.started_at, runs.finished, runs.quality, runs.elapsed_s FROM runs JOIN jobs ON jobs.id = runs.job
    WHERE jobs.cluster = ? AND jobs.job_id = ? AND runs.restart = ?
"""


def _restart_with_start(db: Database, key: _Key, accounted_start_s: float | None) -> int | None:
    """Another restart of the job that the same attempt in accounting vouches for, None where there is none."""
    query = (
        "SELECT runs.restart FROM runs JOIN jobs ON jobs.id = runs.job"
        " WHERE jobs.cluster = ? AND jobs.job_id = ? AND runs.restart != ? AND runs.accounted_start_s = ?"
    )
    row = db.execute(query, [key.cluster, key.job_id, key.restart, accounted_start_s]).fetchone()
    return None if row is None else int(row[0])


def _check_place(node: NodeTrace, key: _Key, nodes: Mapping[str, NodeTrace]) -> None:
    place = place_of(node.trace.header)
    if _Key.of(node.trace.header) != key:
        raise NotYetBelieved("it was replaced while it was read")
    if place in nodes:
        raise TelemetryError(f"{nodes[place].file.path.name} is of the same node and attempt")


def _check_all(node: NodeTrace, nodes: Mapping[str, NodeTrace]) -> None:
    for other in nodes.values():
        check_apart(node, other)
    if node.job is not None:
        check_in_all([node.trace.header, *(other.trace.header for other in nodes.values())], node.job)


def _ticket(state: _Ingest, node: NodeTrace) -> JobTicket | None:
    """The job's ticket; a run whose ticket is not believed is still a run."""
    spool, header = node.file.path.parent, node.trace.header
    job_id = header.array_job_id or header.job_id
    user = node.job.user if node.job else header.user
    try:
        return believed_ticket(spool, cluster=header.cluster, job_id=job_id, owner_uid=node.file.owner_uid, user=user)
    except TelemetryError as exc:
        state.refusals.add_ticket(spool / ticket_name(header.cluster, job_id), str(exc))
        return None


def _held_nodes(db: Database, key: _Key) -> dict[str, str]:
    """The nodes of the run that the corpus holds, each with the path of its trace."""
    query = (
        "SELECT traces.node, traces.path FROM traces JOIN runs ON runs.id = traces.run JOIN jobs ON jobs.id = runs.job"
        " WHERE jobs.cluster = ? AND jobs.job_id = ? AND runs.restart = ?"
    )
    return {row["node"]: row["path"] for row in db.query(query, [key.cluster, key.job_id, key.restart])}
