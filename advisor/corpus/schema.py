"""The corpus's tables as named migrations; sqlite-utils records in the database which of them it has seen.

A migration that has been released is never edited: a new column is a new function below the last one, and
tests/data/corpus/ keeps a corpus as each version left it.
"""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("corpus")

_TABLES_1 = (
    """
    CREATE TABLE tickets (
        id INTEGER PRIMARY KEY,
        cluster TEXT NOT NULL,
        job_id TEXT NOT NULL,            -- of the array, where there is one
        ticket_id TEXT NOT NULL,
        user TEXT NOT NULL,
        submitted_at TEXT NOT NULL,
        script_sha256 TEXT NOT NULL,
        objective TEXT NOT NULL,
        followed INTEGER NOT NULL,
        model_name TEXT,
        model_version TEXT,
        predicted_mean_power_w REAL,
        predicted_energy_j REAL,
        predicted_energy_low_j REAL,
        predicted_energy_high_j REAL,
        predicted_duration_s REAL,
        document TEXT NOT NULL,          -- the ticket as it was written
        file_name TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        owner_uid INTEGER NOT NULL,
        ingested_at TEXT NOT NULL,
        UNIQUE (cluster, job_id)
    )
    """,
    """
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        cluster TEXT NOT NULL,
        job_id TEXT NOT NULL,            -- Slurm's raw id, or local-...
        array_job_id TEXT,
        array_task TEXT,
        user TEXT NOT NULL,
        uid INTEGER NOT NULL,
        account TEXT,
        local INTEGER NOT NULL CHECK (local IN (0, 1)),
        ticket INTEGER REFERENCES tickets (id),
        UNIQUE (cluster, job_id)
    )
    """,
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        job INTEGER NOT NULL REFERENCES jobs (id),
        restart INTEGER NOT NULL CHECK (restart >= 0),
        state TEXT NOT NULL,
        finished INTEGER NOT NULL CHECK (finished IN (0, 1)),
        exit_status INTEGER,
        started_at REAL NOT NULL,
        partition TEXT,
        nodes INTEGER NOT NULL,
        gpus INTEGER NOT NULL,
        gpu_model TEXT,
        memory_bytes INTEGER,
        cpus INTEGER,
        energy_j REAL CHECK (energy_j >= 0),
        energy_source TEXT NOT NULL
            CHECK (energy_source IN ('nvml_counter', 'nvml_integral', 'replay', 'rapl', 'sacct', 'none')),
        quality TEXT NOT NULL CHECK (quality IN ('complete', 'cut', 'damaged')),
        mean_power_w REAL CHECK (mean_power_w >= 0),
        epochs INTEGER NOT NULL,
        epoch_energy_j REAL,
        epoch_duration_s REAL,
        duration_s REAL NOT NULL CHECK (duration_s >= 0),
        elapsed_s REAL,
        gpu_utilisation REAL CHECK (gpu_utilisation BETWEEN 0 AND 1),
        gpu_memory_bytes INTEGER,
        host_memory_bytes INTEGER,
        host_energy_j REAL,
        UNIQUE (job, restart)
    )
    """,
    """
    CREATE TABLE epochs (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        phase INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        started_at REAL NOT NULL,
        duration_s REAL NOT NULL CHECK (duration_s >= 0),
        gpu_energy_j REAL CHECK (gpu_energy_j >= 0),
        steps INTEGER,
        samples INTEGER,
        PRIMARY KEY (run, phase, epoch)
    )
    """,
    """
    CREATE TABLE traces (
        path TEXT PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        node TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        owner_uid INTEGER NOT NULL,
        schema INTEGER NOT NULL,
        quality TEXT NOT NULL CHECK (quality IN ('complete', 'cut', 'damaged')),
        ingested_at TEXT NOT NULL,
        UNIQUE (run, node)
    )
    """,
    """
    CREATE TABLE rejected (
        path TEXT PRIMARY KEY,
        reason TEXT NOT NULL,
        owner_uid INTEGER,
        first_seen_at TEXT NOT NULL,
        last_seen_at TEXT NOT NULL
    )
    """,
)


@migrations()
def create_tables(db: Database) -> None:
    """Version 1: jobs, their attempts and epochs, the files that say so, and the files that were not believed."""
    for statement in _TABLES_1:
        db.execute(statement)


@migrations()
def allow_amd_energy(db: Database) -> None:
    """Version 2: energy that AMD's library counts.

    SQLite changes a CHECK only by making the table anew. Foreign keys are off meanwhile (store.py), or the old table
    would take its epochs and traces with it.
    """
    before = "'nvml_counter', 'nvml_integral', "
    widened = db.table("runs").schema.replace(before, f"{before}'amdsmi_counter', 'amdsmi_integral', ")
    db.execute(widened.replace("CREATE TABLE runs", "CREATE TABLE runs_widened", 1))
    db.execute("INSERT INTO runs_widened SELECT * FROM runs")
    db.execute("DROP TABLE runs")
    db.execute("ALTER TABLE runs_widened RENAME TO runs")


@migrations()
def keep_what_jobs_found(db: Database) -> None:
    """Version 3: the facts that a dry run in the job found, as the JSON of a workload."""
    db.execute("ALTER TABLE runs ADD COLUMN found_in_job TEXT")


@migrations()
def bound_what_users_write(db: Database) -> None:
    """Version 4: what ingest refused and why it need not look again, which attempt of accounting a run is, and indexes.

    A ticket's paths get columns of their own: one document that is no JSON made every query over all of them fail.
    """
    for column in ("inode INTEGER", "bytes INTEGER", "modified_ns INTEGER", "final INTEGER NOT NULL DEFAULT 0"):
        db.execute(f"ALTER TABLE rejected ADD COLUMN {column}")
    db.execute("ALTER TABLE rejected ADD COLUMN judged_by TEXT")
    db.execute("ALTER TABLE runs ADD COLUMN accounted_start_s REAL")
    for column, place in (
        ("script_path", "$.script_path"), ("training_sha256", "$.training.sha256"), ("training_path", "$.training.path")
    ):  # fmt: skip
        db.execute(f"ALTER TABLE tickets ADD COLUMN {column} TEXT")
        db.execute(
            f"UPDATE tickets SET {column} = json_extract(document, ?) WHERE json_valid(document)",  # noqa: S608 (above)
            [place],
        )
    for table, columns in (
        ("tickets", "user, script_sha256"), ("tickets", "user, script_path"), ("tickets", "user, training_sha256"),
        ("tickets", "user, training_path"), ("jobs", "ticket"), ("jobs", "user"), ("jobs", "array_job_id, array_task"),
        ("jobs", "job_id"), ("runs", "started_at"), ("runs", "partition, gpu_model"),
    ):  # fmt: skip
        name = "_".join([table, *columns.replace(",", "").split()])
        db.execute(f"CREATE INDEX {name} ON {table} ({columns})")


def names() -> tuple[str, ...]:
    """All migrations this program knows, oldest first."""
    return tuple(migration.name for migration in migrations.pending(Database(memory=True)))
