"""What earlier jobs of a script trained: the facts of the last one that was measured, as a layer of evidence."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from advisor.errors import TelemetryError
from advisor.inspection.workload import Fact, Source
from advisor.submission.ticket import Ticket, ticket_from_json

# The latest jobs of a user's script; further back, scripts have changed too often for a look to be worth its time.
_MOST_TICKETS = 50
_QUERY = """
    SELECT tickets.document, runs.epochs, runs.state, tickets.script_sha256 = :sha256 AS same
    FROM tickets JOIN jobs ON jobs.ticket = tickets.id JOIN runs ON runs.job = jobs.id
    WHERE tickets.user = :user AND (tickets.script_sha256 = :sha256
          OR json_extract(tickets.document, '$.script_path') = :path)
    ORDER BY same DESC, tickets.submitted_at DESC, runs.restart DESC LIMIT :most
"""


def facts_of_earlier_jobs(
    corpus: Path, *, user: str, script_path: str, script_sha256: str, arguments: Sequence[str]
) -> dict[str, Fact[Any]]:
    """Facts of the user's last measured job of the same script with the same arguments; empty where there is none.

    A job of the same content comes before one of the same path whose script has changed since. Epochs are those that
    were counted, if the job came to its end. Never raises: a corpus that cannot be read knows nothing.
    """
    try:
        with sqlite3.connect(f"file:{corpus}?mode=ro", uri=True, timeout=1.0) as connection:
            rows = connection.execute(
                _QUERY, {"sha256": script_sha256, "user": user, "path": script_path, "most": _MOST_TICKETS}
            ).fetchall()
    except sqlite3.Error:
        return {}
    for document, epochs, state, _ in rows:
        try:
            ticket = ticket_from_json(document)
        except TelemetryError:
            continue
        if ticket.arguments == tuple(arguments):
            return _facts(ticket, epochs if state == "COMPLETED" else 0)
    return {}


def _facts(ticket: Ticket, epochs: int) -> dict[str, Fact[Any]]:
    known = {
        name: Fact(fact.value, Source.HISTORY)
        for name, fact in ticket.workload.facts()
        if fact.source not in {Source.UNKNOWN, Source.TABLE}
    }
    return {**known, "epochs": Fact(epochs, Source.HISTORY)} if epochs else known
