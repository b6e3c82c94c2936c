"""What the corpus holds, counted, and whether its file is sound."""

from __future__ import annotations

from typing import Any

from sqlite_utils import Database

from advisor.corpus import schema


def statistics(db: Database) -> dict[str, Any]:
    """Counts and sums; energies in J, ``rejected`` in files."""
    groups = db.query(
        "SELECT partition, gpu_model, COUNT(*) AS runs, SUM(finished) AS finished, SUM(energy_j) AS energy_j,"
        " SUM(jobs.ticket IS NOT NULL) AS with_ticket, SUM(quality = 'complete') AS complete"
        " FROM runs JOIN jobs ON jobs.id = runs.job GROUP BY partition, gpu_model ORDER BY runs DESC"
    )
    return {
        "jobs": db.table("jobs").count,
        "runs": db.table("runs").count,
        "epochs": db.table("epochs").count,
        "traces": db.table("traces").count,
        "tickets": db.table("tickets").count,
        "rejected": db.table("rejected").count,
        "groups": list(groups),
    }


def problems_of(db: Database) -> list[str]:
    """What is wrong with the corpus, by SQLite's checks and by the tables it must have; empty where it is sound."""
    damage = [str(row[0]) for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    orphans = [f"a row of {row[0]} points at no row of {row[2]}" for row in db.execute("PRAGMA foreign_key_check")]
    return damage + orphans + _missing_parts(db)


def _missing_parts(db: Database) -> list[str]:
    """Tables and columns that the migrations make and the corpus does not have."""
    whole = Database(memory=True)
    schema.migrations.apply(whole)
    found = []
    for table in whole.table_names():
        columns = {column.name for column in db.table(table).columns} if table in db.table_names() else set()
        missing = sorted({column.name for column in whole.table(table).columns} - columns)
        if not columns:
            found.append(f"it has no table {table}")
        elif missing:
            found.append(f"its table {table} has no column {missing[0]}")
    return found
