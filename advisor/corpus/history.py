"""What earlier jobs of a script trained: the facts of the last one that was measured, as a layer of evidence."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from advisor.corpus.rows import workload_from_json
from advisor.errors import StorageError, TelemetryError
from advisor.inspection.evidence import completed
from advisor.inspection.workload import Fact, Source, Workload
from advisor.storage.folder import check_file, trusted_owners
from advisor.storage.plain_text import escaped
from advisor.submission.ticket import Ticket, TrainingFile, ticket_from_json

# The latest jobs of a user's script; further back, scripts have changed too often for a look to be worth its time.
_MOST_TICKETS = 50
# A ticket that names the Python file is told by that file: a batch script may stay as it is while its training changes.
QUERY = """
    SELECT tickets.document, runs.epochs, runs.state, runs.found_in_job,
           ifnull(tickets.training_sha256 = :training, tickets.script_sha256 = :sha256) AS same
    FROM tickets JOIN jobs ON jobs.ticket = tickets.id JOIN runs ON runs.job = jobs.id
    WHERE (tickets.user = :user AND tickets.script_sha256 = :sha256)
       OR (tickets.user = :user AND tickets.script_path = :path)
       OR (tickets.user = :user AND tickets.training_sha256 = :training)
       OR (tickets.user = :user AND tickets.training_path = :training_path)
    ORDER BY same DESC, tickets.submitted_at DESC, runs.restart DESC LIMIT :most
"""


def facts_of_earlier_jobs(
    corpus: Path,
    *,
    user: str,
    script_path: str,
    script_sha256: str,
    arguments: Sequence[str],
    training: TrainingFile | None = None,
) -> dict[str, Fact[Any]]:
    """Facts of the user's last measured job of the same script with the same arguments; empty where there is none.

    A job of the same content comes before one of the same path whose script has changed since. ``training`` is the
    Python file, which tells a batch script's jobs apart better than the batch script does. Epochs are those that
    were counted, if the job came to its end. Never raises: a corpus that cannot be read knows nothing.
    """
    asked = {
        "sha256": script_sha256,
        "user": user,
        "path": escaped(script_path),
        "training": training.sha256 if training else None,
        "training_path": escaped(training.path) if training else None,
        "most": _MOST_TICKETS,
    }
    try:
        check_file(corpus, owners=trusted_owners())
        with sqlite3.connect(f"file:{corpus}?mode=ro", uri=True, timeout=1.0) as connection:
            rows = connection.execute(QUERY, asked).fetchall()
    except (sqlite3.Error, StorageError, OSError):
        return {}
    for document, epochs, state, found, _ in rows:
        try:
            ticket = ticket_from_json(document)
            workload = completed(ticket.workload, workload_from_json(found))
        except TelemetryError:
            continue
        if _is_same(ticket, training, tuple(map(escaped, arguments))):
            return _facts(workload, epochs if state == "COMPLETED" else 0)
    return {}


def _is_same(ticket: Ticket, training: TrainingFile | None, arguments: tuple[str, ...]) -> bool:
    """Whether a job trained with the same words; where both Python files are known, with those that they were given."""
    if ticket.training is None or training is None:
        return ticket.arguments == arguments
    is_same_file = training.sha256 == ticket.training.sha256 or escaped(training.path) == ticket.training.path
    return is_same_file and tuple(map(escaped, training.arguments)) == ticket.training.arguments


def _facts(workload: Workload, epochs: int) -> dict[str, Fact[Any]]:
    known = {
        name: Fact(fact.value, Source.HISTORY)
        for name, fact in workload.facts()
        if fact.source not in {Source.UNKNOWN, Source.TABLE}
    }
    return {**known, "epochs": Fact(epochs, Source.HISTORY)} if epochs else known
