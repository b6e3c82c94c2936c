"""What the corpus holds, counted, and whether its file is sound."""

from __future__ import annotations

from typing import Any

from sqlite_utils import Database


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
    """What SQLite finds wrong with the corpus; empty where it is sound."""
    damage = [str(row[0]) for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    orphans = [f"a row of {row[0]} points at no row of {row[2]}" for row in db.execute("PRAGMA foreign_key_check")]
    return damage + orphans
