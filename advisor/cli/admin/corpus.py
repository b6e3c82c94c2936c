"""``gsadmin corpus``: shows, exports, checks and compacts the corpus."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

import click

from advisor import units
from advisor.cli.screens.printable import printable
from advisor.cli.screens.report import shown_job_id
from advisor.corpus import rows, schema, store
from advisor.corpus.export import export_csv
from advisor.corpus.run import Run
from advisor.corpus.statistics import problems_of, statistics
from advisor.errors import CorpusError
from advisor.settings import load_settings

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsadmin corpus stats
    gsadmin corpus runs --user alice --limit 10
    gsadmin corpus export runs.csv
    sqlite3 corpus.db "SELECT user, SUM(energy_j) / 3.6e6 AS kwh FROM runs JOIN jobs ON jobs.id = job GROUP BY user"
"""
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("corpus", epilog=EXAMPLES)
@click.option("--corpus", metavar="FILE", help="The corpus; the setting corpus where it is not given.")
@click.pass_context
def command(context: click.Context, corpus: str | None) -> None:
    """Look into the corpus: runs, rejected files, export, check.

    The corpus is one SQLite file; any SQLite tool can read it too, also while gsadmin ingest writes.
    """
    context.obj = load_settings(command_line={"corpus": corpus} if corpus else {}).corpus


@command.command()
@_JSON
@click.pass_obj
def stats(path: Path, *, as_json: bool) -> None:
    """Runs, energy and rejected files, in all and by partition and GPU."""
    with store.reading(path) as db:
        found = statistics(db)
    click.echo(json.dumps(found) if as_json else _statistics_text(found))


def _statistics_text(found: dict[str, Any]) -> str:
    head = ", ".join(f"{found[name]} {name}" for name in ("jobs", "runs", "epochs", "traces", "tickets", "rejected"))
    lines = [
        f"  {group['partition'] or 'local'}, {group['gpu_model'] or 'no GPU'}: {group['runs']} runs,"
        f" {group['with_ticket']} advised, {group['complete']} complete,"
        f" {units.human_energy(group['energy_j'] or 0.0)}"
        for group in found["groups"]
    ]
    return "\n".join([head, *lines])


@command.command()
@click.option("--user", metavar="NAME", help="Only this user's.")
@click.option("--job", metavar="JOBID", help="Only this job's: N, N_task, or an array's N for all its tasks.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many, newest first.")
@click.pass_obj
def runs(path: Path, user: str | None, job: str | None, limit: int) -> None:
    """List runs, newest first."""
    with store.reading(path) as db:
        for run in rows.runs(db, user=user, job_id=job, limit=limit):
            click.echo(_run_line(run))


def _run_line(run: Run) -> str:
    energy = units.human_energy(run.energy_j) if run.energy_j is not None else "no energy"
    began = datetime.fromtimestamp(run.started_at, tz=timezone.utc).isoformat(timespec="seconds")
    return (
        f"{shown_job_id(run)}  {began}  {run.user}  {run.state}  {run.partition or 'local'}"
        f"  {run.gpus} x {run.gpu_model or 'no GPU'}  {run.epochs} epochs  {units.human_duration(run.duration_s)}"
        f"  {energy} ({run.energy_source}, {run.quality})"
    )


@command.command()
@_JSON
@click.pass_obj
def rejected(path: Path, *, as_json: bool) -> None:
    """List the files of the spool folder that were not believed, each with the reason."""
    with store.reading(path) as db:
        found = list(db.table("rejected").rows_where(order_by="last_seen_at DESC, path"))
    if as_json:
        click.echo(json.dumps(found))
        return
    for row in found:
        click.echo(
            printable(f"{row['path']}: {row['reason']}") + f" (uid {row['owner_uid']}, since {row['first_seen_at']})"
        )


@command.command()
@click.argument("file", type=click.File("w"), default="-")
@click.pass_obj
def export(path: Path, file: IO[str]) -> None:
    """Write all runs as CSV, one attempt a line, SI units; to standard output where no FILE is given."""
    with store.reading(path) as db:
        found = list(rows.runs(db))
    export_csv(found, file)  # outside: a reader that leaves early, or a full disk, is no fault of the corpus


@command.command()
@click.pass_obj
def check(path: Path) -> None:
    """Check the file's integrity, its foreign keys and its version; end with status 9 where one is broken."""
    with store.reading(path) as db:
        problems = problems_of(db)
    if problems:
        raise CorpusError(f"The corpus {path} is damaged: {problems[0]}.", hint="Restore it from a backup.")
    click.echo(f"{path} is sound (version {len(schema.names())})")


@command.command()
@click.pass_obj
def vacuum(path: Path) -> None:
    """Give unused space back to the file system; waits for no writer and holds the writer's lock meanwhile."""
    before = path.stat().st_size if path.exists() else 0
    with store.writing(path) as db:
        db.vacuum()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    click.echo(f"{path}: {units.human_memory(before)} before, {units.human_memory(path.stat().st_size)} now")
