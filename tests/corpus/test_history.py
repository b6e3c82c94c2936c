"""What earlier jobs of a script say of the next one: the same words only, measured epochs first."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from pathlib import Path

from advisor.corpus.history import facts_of_earlier_jobs
from advisor.inspection.workload import Fact, Source, Workload
from advisor.storage.plain_data import to_plain
from advisor.submission.ticket import Ticket, TrainingFile, ticket_to_json
from tests.submission.test_ticket import TICKET

TABLES = """
CREATE TABLE tickets (
    id INTEGER PRIMARY KEY, user TEXT, submitted_at TEXT, script_sha256 TEXT, document TEXT,
    script_path TEXT, training_sha256 TEXT, training_path TEXT
);
CREATE TABLE jobs (id INTEGER PRIMARY KEY, ticket INTEGER);
CREATE TABLE runs (job INTEGER, restart INTEGER, state TEXT, epochs INTEGER, found_in_job TEXT);
"""
WORKLOAD = Workload(epochs=Fact(50, Source.PROBE), optimizer=Fact("adam", Source.OPTION), layers=Fact(9, Source.TABLE))


def corpus(path: Path, *rows: tuple[Ticket, str, int]) -> Path:
    """A corpus with these tickets, states and counted epochs."""
    with sqlite3.connect(path) as connection:
        connection.executescript(TABLES)
        for number, (ticket, state, epochs) in enumerate(rows):
            connection.execute(
                "INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    number,
                    ticket.user,
                    ticket.submitted_at,
                    ticket.script_sha256,
                    ticket_to_json(ticket),
                    ticket.script_path,
                    *((ticket.training.sha256, ticket.training.path) if ticket.training else (None, None)),
                ],
            )
            connection.execute("INSERT INTO jobs VALUES (?, ?)", [number, number])
            connection.execute("INSERT INTO runs VALUES (?, 0, ?, ?, NULL)", [number, state, epochs])
    connection.close()
    return path


def ticket(**changes: object) -> Ticket:
    """A ticket of /home/alice/train.py."""
    return dataclasses.replace(TICKET, **{"workload": WORKLOAD, **changes})  # type: ignore[arg-type]


def ask(
    path: Path,
    sha256: str = "0" * 64,
    arguments: tuple[str, ...] = ("--epochs", "5"),
    training: TrainingFile | None = None,
) -> dict[str, object]:
    """What alice's script is known for."""
    found = facts_of_earlier_jobs(
        path,
        user="alice",
        script_path="/home/alice/train.py",
        script_sha256=sha256,
        arguments=arguments,
        training=training,
    )
    assert all(fact.source is Source.HISTORY for fact in found.values())
    return {name: fact.value for name, fact in found.items()}


def test_counted_epochs_of_a_whole_run_replace_what_was_expected(tmp_path: Path) -> None:
    """A run that was cut short says nothing about epochs; a table's figures are no memory of a job."""
    whole = corpus(tmp_path / "whole.db", (ticket(), "COMPLETED", 12))
    cut = corpus(tmp_path / "cut.db", (ticket(), "TIMEOUT", 3))

    assert {"epochs": 12, "optimizer": "adam"} == ask(whole)
    assert {"epochs": 50, "optimizer": "adam"} == ask(cut)


def test_the_same_content_comes_before_the_same_path(tmp_path: Path) -> None:
    """A script that has changed since is the weaker witness; other arguments or another user's are none."""
    path = corpus(
        tmp_path / "c.db",
        (ticket(script_path="/elsewhere/copy.py"), "COMPLETED", 7),
        (ticket(script_sha256="1" * 64, submitted_at="2026-11-22T00:00:00+00:00"), "COMPLETED", 8),
        (ticket(user="bob", submitted_at="2026-11-23T00:00:00+00:00"), "COMPLETED", 9),
    )

    assert 7 == ask(path)["epochs"]
    assert 8 == ask(path, sha256="2" * 64)["epochs"]
    assert {} == ask(path, arguments=("--epochs", "6"))


def test_no_corpus_knows_nothing(tmp_path: Path) -> None:
    """Most users have none that they may read: a submission goes on without."""
    (tmp_path / "broken.db").write_text("no database", encoding="utf-8")

    assert ({}, {}) == (ask(tmp_path / "none.db"), ask(tmp_path / "broken.db"))


def test_a_batch_scripts_jobs_are_told_by_the_python_file_that_they_start(tmp_path: Path) -> None:
    """The same batch script may start another training; the same training may be started by another batch script."""
    before = TrainingFile(path="/home/alice/train.py", sha256="a", arguments=("--lr", "1"))
    now = dataclasses.replace(before, sha256="b")
    other = dataclasses.replace(before, path="/home/alice/other.py", sha256="c")
    old, new, elsewhere = (
        ticket(training=training, script_sha256="0" * 64, workload=Workload(epochs=Fact(epochs, Source.PROBE)))
        for training, epochs in ((before, 1), (now, 2), (other, 3))
    )
    path = corpus(tmp_path / "corpus.db", (old, "TIMEOUT", 0), (new, "TIMEOUT", 0), (elsewhere, "TIMEOUT", 0))

    assert {"epochs": 1} == ask(path, training=before)
    assert {"epochs": 2} == ask(path, training=now)
    assert {"epochs": 2} == ask(path, sha256="9" * 64, training=now)
    assert {} == ask(path, training=dataclasses.replace(now, arguments=()))


def test_what_a_job_found_is_known_to_the_next(tmp_path: Path) -> None:
    """A dry run in the job fills what its ticket lacked."""
    path = corpus(tmp_path / "corpus.db", (ticket(), "TIMEOUT", 0))
    with sqlite3.connect(path) as connection:
        found = Workload(parameters=Fact(27, Source.PROBE), optimizer=Fact("sgd", Source.PROBE))
        connection.execute("UPDATE runs SET found_in_job = ?", [json.dumps(to_plain(found))])
    connection.close()

    assert {"epochs": 50, "optimizer": "adam", "parameters": 27} == ask(path)
