"""Opening the corpus: versions, the one writer, readers who may not write."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from advisor.corpus import history, rows, schema, store
from advisor.corpus.history import facts_of_earlier_jobs
from advisor.corpus.statistics import problems_of
from advisor.errors import CorpusError
from tests.two_users import ATTACKER, needs_root

REPOSITORY = Path(__file__).parents[2]
ONE_TICKET = """
    INSERT INTO tickets (cluster, job_id, ticket_id, user, submitted_at, script_sha256, objective, followed,
                         document, file_name, sha256, owner_uid, ingested_at)
    VALUES ('c', '1', 't', 'u', '', '', 'energy', 1, '{}', '', '', 0, '')
"""
RUN_OF_NO_JOB = """
    INSERT INTO runs
        (job, restart, state, finished, started_at, nodes, gpus, energy_source, quality, epochs, duration_s)
    VALUES (99, 0, 'COMPLETED', 1, 1, 1, 1, 'none', 'complete', 0, 1)
"""
FROM_LATER = "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('corpus', 'from_2031', '')"


def run_python(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with a path as its argument."""
    return subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=REPOSITORY, check=False, capture_output=True, text=True
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a corpus will be."""
    return tmp_path / "data" / "corpus.db"


def test_migrations_are_recorded_by_name(path: Path) -> None:
    """The database itself says which migrations it has seen."""
    with store.writing(path) as db:
        names = [row["name"] for row in db.query("SELECT name FROM _sqlite_migrations")]

    assert sorted(schema.names()) == sorted(names)


def test_opening_twice_changes_nothing(path: Path) -> None:
    """A corpus of this version is opened as it is."""
    with store.writing(path) as db:
        db.execute(ONE_TICKET)
        db.conn.commit()
        tables = db.schema
    with store.writing(path) as db:
        assert tables == db.schema
        assert 1 == db.table("tickets").count


def test_a_corpus_of_version_1_keeps_its_rows(path: Path) -> None:
    """Widening what a run may say of its energy loses no run, no epoch and no trace, and undoes no rule."""
    path.parent.mkdir()
    first = sqlite3.connect(path)
    first.executescript((REPOSITORY / "tests/data/corpus/version_1.sql").read_text(encoding="utf-8"))
    first.close()
    before = sqlite3.connect(path)
    counts = {name: count_of(before, name) for name in ("jobs", "runs", "epochs", "traces")}
    before.close()

    with store.writing(path) as db:
        assert counts == {name: count_of(db.conn, name) for name in counts}
        assert all(counts.values())
        assert [] == db.execute("PRAGMA foreign_key_check").fetchall()
        db.execute("UPDATE runs SET energy_source = 'amdsmi_counter'")
        with pytest.raises(sqlite3.IntegrityError):
            db.execute("UPDATE runs SET energy_source = 'guessed'")


def test_a_corpus_of_version_3_keeps_its_rows_and_finds_its_tickets(path: Path) -> None:
    """What a ticket's document holds is found by columns of their own from then on."""
    path.parent.mkdir()
    before = sqlite3.connect(path)
    before.executescript((REPOSITORY / "tests/data/corpus/version_3.sql").read_text(encoding="utf-8"))
    before.close()
    with store.writing(path) as db:
        assert [1, 1, 1, 1] == [count_of(db.conn, name) for name in ("jobs", "runs", "tickets", "rejected")]
        assert ("/home/alice/train.py", "cd" * 32, "/home/alice/train.py") == tuple(
            db.execute("SELECT script_path, training_sha256, training_path FROM tickets").fetchone()
        )
    found = facts_of_earlier_jobs(
        path, user="root", script_path="/home/alice/train.py", script_sha256="", arguments=("--epochs", "5")
    )

    assert 2 == found["epochs"].value


@needs_root
@pytest.mark.parametrize(("owner", "mode"), [(ATTACKER, 0o644), (0, 0o666), (0, 0o620)])
def test_a_corpus_that_others_can_have_written_is_not_used(path: Path, owner: int, mode: int) -> None:
    """What it says of earlier jobs would become the facts of the next; neither reader nor writer opens it."""
    with store.writing(path):
        pass
    os.chown(path, owner, owner)
    path.chmod(mode)
    for use in (store.reading, store.writing):
        with pytest.raises(CorpusError, match="is not used"), use(path):
            pass

    assert {} == facts_of_earlier_jobs(path, user="u", script_path="", script_sha256="", arguments=())


@pytest.mark.parametrize("umask", [0o000, 0o002])
def test_a_corpus_is_private_whatever_the_umask(path: Path, umask: int) -> None:
    """Its folders too."""
    before = os.umask(umask)
    try:
        with store.writing(path) as db:
            db.execute(ONE_TICKET)
            modes = [entry.stat().st_mode & 0o777 for entry in sorted(path.parent.iterdir())]
    finally:
        os.umask(before)

    assert 0o700 == path.parent.stat().st_mode & 0o777
    assert {0o600} == set(modes)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DROP TABLE epochs", "it has no table epochs"),
        ("ALTER TABLE runs DROP COLUMN found_in_job", "its table runs has no column found_in_job"),
    ],
)
def test_a_corpus_that_lacks_a_part_is_not_sound(path: Path, damage: str, said: str) -> None:
    """SQLite's own check says nothing of a table that is not there."""
    with store.writing(path) as db:
        assert [] == problems_of(db)
        db.execute(damage)
        db.conn.commit()

        assert [said] == problems_of(db)


def count_of(connection: sqlite3.Connection, table: str) -> int:
    """The number of rows of a table."""
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 (the names above)
    return int(count)


def test_corpus_is_wal_with_foreign_keys(path: Path) -> None:
    """Readers never wait for the writer, and no row points at nothing."""
    with store.writing(path) as db:
        assert "wal" == db.journal_mode
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(RUN_OF_NO_JOB)


def test_new_corpus_is_its_owners_alone(path: Path) -> None:
    """Tickets hold script arguments; nobody else reads them until the admin says so."""
    with store.writing(path):
        pass

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


def test_second_writer_is_told_so(path: Path) -> None:
    """Two ingests never write at once: the second says why it stops."""
    with store.writing(path), pytest.raises(CorpusError, match="Another gsadmin is writing"), store.writing(path):
        pass


def test_lock_goes_with_a_killed_writer(path: Path) -> None:
    """A writer that is killed leaves no lock behind."""
    code = """if True:
        import os, sys
        from pathlib import Path
        from advisor.corpus import store
        with store.writing(Path(sys.argv[1])):
            os.kill(os.getpid(), 9)
    """
    killed = run_python(code, path)
    with store.writing(path) as db:
        tables = db.table_names()

    assert -9 == killed.returncode
    assert "runs" in tables


def test_reader_sees_what_is_written_while_a_writer_writes(path: Path) -> None:
    """A report is never blocked by an ingest."""
    with store.writing(path) as db:
        db.execute(ONE_TICKET)
        db.conn.commit()
        with store.reading(path) as reader:
            assert 1 == reader.table("tickets").count


def test_reader_cannot_write(path: Path) -> None:
    """Only gsadmin writes."""
    with store.writing(path):
        pass
    with pytest.raises(CorpusError, match="readonly"), store.reading(path) as db:
        db.execute(ONE_TICKET)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user who may not write")
def test_reader_without_write_permission_reads() -> None:
    """A corpus opened to others by its admin can be read by who may not write its folder."""
    code = """if True:
        import os, sys
        from pathlib import Path
        from sqlite_utils import Database
        from advisor.corpus import store
        Database(memory=True)  # loads what is loaded lazily while it may still be read
        os.setuid(65534)
        with store.reading(Path(sys.argv[1])) as db:
            print(db.table("tickets").count)
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.db"
        with store.writing(path) as db:
            db.execute(ONE_TICKET)
            db.conn.commit()
        path.chmod(0o644)
        path.parent.chmod(0o755)
        done = run_python(code, path)

    assert ("1\n", "") == (done.stdout, done.stderr)


def test_missing_corpus_names_the_next_step(path: Path) -> None:
    """A report without a corpus says who makes one, and how."""
    with pytest.raises(CorpusError) as raised, store.reading(path):
        pass

    assert "gsadmin init" in str(raised.value.hint)


def test_newer_corpus_is_refused(path: Path) -> None:
    """A corpus written by a newer program is neither read nor changed."""
    with store.writing(path) as db:
        db.execute(FROM_LATER)
        db.conn.commit()
    for opened in (store.reading, store.writing):
        with pytest.raises(CorpusError, match=r"newer gsbatch.*from_2031"), opened(path):
            pass


def test_folder_where_the_corpus_should_be_is_named(path: Path) -> None:
    """Whatever keeps the file from being opened is an error with a next step."""
    path.mkdir(parents=True)
    with pytest.raises(CorpusError, match="Is a directory") as raised, store.writing(path):
        pass

    assert "gsadmin corpus check" in (raised.value.hint or "")


def test_file_that_is_no_database_is_refused(path: Path) -> None:
    """A file that is not SQLite is named, and left as it is."""
    path.parent.mkdir()
    path.write_text("not a database, but long enough to look like one" * 100)
    before = path.read_bytes()
    for opened in (store.reading, store.writing):
        with pytest.raises(CorpusError, match="not a database"), opened(path):
            pass

    assert before == path.read_bytes()


@pytest.mark.parametrize("version", [1])
def test_corpus_of_every_version_can_still_be_used(path: Path, version: int) -> None:
    """A corpus as an earlier program left it is brought up to date and its run is read as it was written."""
    path.parent.mkdir()
    text = (REPOSITORY / "tests" / "data" / "corpus" / f"version_{version}.sql").read_text()
    connection = sqlite3.connect(path)
    connection.executescript(text)
    connection.close()
    with store.writing(path) as db:
        (run,) = rows.runs(db)
        epochs = rows.epochs_of(db, run)

    assert ("7", "alice", "COMPLETED", "nvml_counter", 4000.0) == (
        run.job_id,
        run.user,
        run.state,
        run.energy_source,
        run.energy_j,
    )
    assert 5 == run.workload.epochs.value
    assert run.predicted is not None
    assert [0, 1] == [epoch.index for epoch in epochs]


def _plan(path: Path, query: str, values: Mapping[str, object]) -> str:
    with store.writing(path) as db:
        return "\n".join(str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {query}", dict(values)))


def test_what_is_asked_of_one_script_job_or_file_scans_no_table(path: Path) -> None:
    """History runs at every submission, the others at every gseff and for every file of an ingest."""
    asked = dict.fromkeys(("user", "sha256", "path", "training", "training_path", "most", "job", "array", "task"), "")
    plans = [
        _plan(path, history.QUERY, asked),
        _plan(path, "SELECT 1 FROM runs JOIN jobs ON jobs.id = runs.job WHERE " + rows.OF_JOB, asked),  # noqa: S608 (a constant)
        _plan(path, "SELECT 1 FROM runs JOIN jobs ON jobs.id = runs.job WHERE jobs.user = :user", asked),
        _plan(path, "SELECT run FROM traces WHERE path = :path", asked),
        _plan(path, "SELECT reason FROM rejected WHERE path = :path", asked),
    ]

    assert [] == [plan for plan in plans if "SCAN" in plan]
