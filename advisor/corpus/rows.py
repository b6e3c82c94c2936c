"""Runs into the corpus's tables and out of them again: the only file that knows how a run lies in rows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advisor.corpus.run import Run, RunEpoch
from advisor.errors import TelemetryError
from advisor.inspection.evidence import completed
from advisor.inspection.workload import Workload
from advisor.storage.plain_data import from_plain, to_plain
from advisor.storage.untrusted_file import FileState, TextFile
from advisor.submission.ticket import Ticket, ticket_from_json, ticket_to_json

if TYPE_CHECKING:  # loading sqlite-utils loads pandas, 0.4 s that a gseff without corpus need not pay
    from sqlite_utils import Database

# Columns of `jobs` and `runs` that bear the name of a field of Run and hold its value.
_JOB_COLUMNS = ("cluster", "job_id", "array_job_id", "array_task", "user", "account", "local")
_RUN_COLUMNS = (
    "restart",
    "state",
    "exit_status",
    "started_at",
    "partition",
    "nodes",
    "gpus",
    "gpu_model",
    "memory_bytes",
    "cpus",
    "energy_j",
    "energy_source",
    "quality",
    "mean_power_w",
    "epochs",
    "epoch_energy_j",
    "epoch_duration_s",
    "duration_s",
    "elapsed_s",
    "gpu_utilisation",
    "gpu_memory_bytes",
    "host_memory_bytes",
    "host_energy_j",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFile:
    """Where a run's figures came from: one trace, as it was when it was read."""

    file: FileState
    node: str
    schema: int
    quality: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt with all that the corpus keeps of it.

    ``finished`` is False while accounting may still change; ``accounted_start_s`` is the start of the attempt by which
    accounting vouches for it, None for a local run.
    """

    run: Run
    epochs: tuple[RunEpoch, ...]
    uid: int
    finished: bool
    traces: tuple[TraceFile, ...]
    ticket: Ticket | None
    ticket_file: TextFile | None
    accounted_start_s: float | None = None


def store(db: Database, attempt: Attempt, ingested_at: str) -> bool:
    """Write an attempt in one transaction, over what the corpus held of it; True where it is new."""
    with db.atomic():
        ticket = _store_ticket(db, attempt, ingested_at)
        job = _store_job(db, attempt, ticket)
        held = db.execute("SELECT id FROM runs WHERE job = ? AND restart = ?", [job, attempt.run.restart]).fetchone()
        found = attempt.run.found_in_job
        row = {name: getattr(attempt.run, name) for name in _RUN_COLUMNS} | {"job": job, "finished": attempt.finished}
        row["found_in_job"] = None if found is None else json.dumps(to_plain(found))
        row["accounted_start_s"] = attempt.accounted_start_s
        if held is None:
            run = _insert(db, "runs", row)
        else:
            run = int(held[0])
            db.table("runs").update(run, row)
            db.execute("DELETE FROM epochs WHERE run = ?", [run])
            db.execute("DELETE FROM traces WHERE run = ?", [run])
        db.table("epochs").insert_all(_epoch_rows(run, attempt.epochs))
        db.table("traces").insert_all(_trace_rows(run, attempt.traces, ingested_at))
    return held is None


def _store_ticket(db: Database, attempt: Attempt, ingested_at: str) -> int | None:
    ticket, file = attempt.ticket, attempt.ticket_file
    if ticket is None or file is None:
        return None
    held = db.execute(
        "SELECT id, owner_uid FROM tickets WHERE cluster = ? AND job_id = ?", [ticket.cluster, ticket.job_id]
    ).fetchone()
    if held is not None:
        return int(held[0]) if held[1] == file.state.owner_uid else None
    prediction = ticket.prediction
    energy = prediction.energy_j if prediction else None
    duration = prediction.duration_s if prediction else None
    row = {
        "cluster": ticket.cluster,
        "job_id": ticket.job_id,
        "ticket_id": ticket.ticket_id,
        "user": attempt.run.user,
        "submitted_at": ticket.submitted_at,
        "script_sha256": ticket.script_sha256,
        "objective": ticket.objective,
        "followed": ticket.followed,
        "model_name": ticket.model.name if ticket.model else None,
        "model_version": ticket.model.version if ticket.model else None,
        "predicted_mean_power_w": prediction.mean_power_w.value if prediction else None,
        "predicted_energy_j": energy.value if energy else None,
        "predicted_energy_low_j": energy.low if energy else None,
        "predicted_energy_high_j": energy.high if energy else None,
        "predicted_duration_s": duration.value if duration else None,
        "script_path": ticket.script_path,
        "training_sha256": ticket.training.sha256 if ticket.training else None,
        "training_path": ticket.training.path if ticket.training else None,
        # Not the file's own text, which may hold fields of anything beside those that are read.
        "document": ticket_to_json(ticket),
        "file_name": file.state.path.name,
        "sha256": file.state.sha256,
        "owner_uid": file.state.owner_uid,
        "ingested_at": ingested_at,
    }
    return _insert(db, "tickets", row)


def _store_job(db: Database, attempt: Attempt, ticket: int | None) -> int:
    run = attempt.run
    held = db.execute("SELECT id FROM jobs WHERE cluster = ? AND job_id = ?", [run.cluster, run.job_id]).fetchone()
    row = {name: getattr(run, name) for name in _JOB_COLUMNS} | {"uid": attempt.uid, "ticket": ticket}
    if held is None:
        return _insert(db, "jobs", row)
    job = int(held[0])
    db.table("jobs").update(job, row)
    return job


def _insert(db: Database, table: str, row: dict[str, Any]) -> int:
    db.table(table).insert(row)
    return int(db.execute("SELECT last_insert_rowid()").fetchone()[0])


def _epoch_rows(run: int, epochs: Sequence[RunEpoch]) -> Iterator[dict[str, Any]]:
    for epoch in epochs:
        row = dataclasses.asdict(epoch)
        yield row | {"run": run, "epoch": row.pop("index")}


def _trace_rows(run: int, traces: Sequence[TraceFile], ingested_at: str) -> Iterator[dict[str, Any]]:
    for trace in traces:
        yield {
            "path": str(trace.file.path),
            "run": run,
            "node": trace.node,
            "sha256": trace.file.sha256,
            "bytes": trace.file.size_bytes,
            "modified_ns": trace.file.modified_ns,
            "owner_uid": trace.file.owner_uid,
            "schema": trace.schema,
            "quality": trace.quality,
            "ingested_at": ingested_at,
        }


# By a raw id, a task N_task, or an array's id for all its tasks; each part has an index.
OF_JOB = "(jobs.job_id = :job OR (jobs.array_job_id = :array AND (:task = '' OR jobs.array_task = :task)))"


def runs(
    db: Database,
    *,
    job_id: str | None = None,
    user: str | None = None,
    finished: bool | None = None,
    limit: int | None = None,
    with_predictions: bool = True,
) -> Iterator[Run]:
    """The corpus's runs, newest first.

    Args:
        db: an open corpus.
        job_id: only attempts of this job: a raw id, or ``N_task``, or an array's id for all its tasks.
        user: only this user's.
        finished: True leaves out jobs that were still running at their last ingest.
        limit: at most so many.
        with_predictions: False leaves out what was predicted, which takes most of the time and which learning needs
            not.
    """
    conditions: list[str] = ["1"]
    values: dict[str, str | int] = {}
    if job_id is not None:
        array_id, _, task = job_id.partition("_")
        conditions.append(OF_JOB)
        values |= {"job": job_id, "array": array_id, "task": task}
    if user is not None:
        conditions.append("jobs.user = :user")
        values["user"] = user
    if finished is not None:
        conditions.append("runs.finished = :finished")
        values["finished"] = int(finished)
    query = (
        f"SELECT {', '.join(f'jobs.{name}' for name in _JOB_COLUMNS)},"  # noqa: S608 (names of this file, values bound)
        f" {', '.join(f'runs.{name}' for name in _RUN_COLUMNS)}, runs.found_in_job, tickets.document AS document"
        " FROM runs JOIN jobs ON jobs.id = runs.job LEFT JOIN tickets ON tickets.id = jobs.ticket"
        f" WHERE {' AND '.join(conditions)} ORDER BY runs.started_at DESC, runs.id DESC LIMIT :most"
    )
    for row in db.query(query, values | {"most": -1 if limit is None else limit}):
        yield _run(row, with_predictions=with_predictions)


def epochs_of(db: Database, run: Run) -> tuple[RunEpoch, ...]:
    """The epochs of a run, in order."""
    query = (
        "SELECT phase, epoch, epochs.started_at, epochs.duration_s, gpu_energy_j, steps, samples"
        " FROM epochs JOIN runs ON runs.id = epochs.run JOIN jobs ON jobs.id = runs.job"
        " WHERE jobs.cluster = ? AND jobs.job_id = ? AND runs.restart = ? ORDER BY phase, epoch"
    )
    rows = db.query(query, [run.cluster, run.job_id, run.restart])
    return tuple(
        RunEpoch(**{("index" if name == "epoch" else name): value for name, value in row.items()}) for row in rows
    )


def _run(row: dict[str, Any], *, with_predictions: bool) -> Run:
    document, found = row.pop("document"), row.pop("found_in_job")
    ticket = None
    if document is not None:
        try:
            ticket = ticket_from_json(document, with_prediction=with_predictions)
        except TelemetryError:
            # A ticket of a schema that this program no longer reads: what was measured stays true without it.
            ticket = None
    return Run(**(row | {"local": bool(row["local"])}), **ticket_fields(ticket, workload_from_json(found)))


def workload_from_json(text: str | None) -> Workload | None:
    """What a job found of its training, as the corpus keeps it.

    Raises:
        TelemetryError: it is no workload.
    """
    try:
        workload: Workload | None = None if text is None else from_plain(Workload, json.loads(text), where="workload")
    except ValueError as exc:
        raise TelemetryError("what the job found is no JSON") from exc
    return workload


def ticket_fields(ticket: Ticket | None, found: Workload | None = None) -> dict[str, Any]:
    """The fields of a run that come from its ticket, and what was found in the job beside it."""
    return {
        "workload": completed(ticket.workload if ticket else Workload(), found),
        "found_in_job": found,
        "script_sha256": ticket.script_sha256 if ticket else None,
        "ticket_id": ticket.ticket_id if ticket else None,
        "followed": ticket.followed if ticket else None,
        "predicted": ticket.prediction if ticket else None,
        "model": ticket.model if ticket else None,
    }
