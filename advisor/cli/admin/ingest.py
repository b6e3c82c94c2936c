"""``gsadmin ingest``: reads new traces and accounting into the corpus."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from advisor.cli.screens.printable import printable
from advisor.corpus.ingest import IngestSummary
from advisor.settings import load_settings
from advisor.workflows.ingest_spool import ingest_spool

# More rejected files than this are counted, not listed; --json lists all.
_LISTED = 20
# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsadmin ingest
    gsadmin ingest --spool /var/spool/gsbatch --json
    */15 * * * * gsadmin ingest --json >> /var/log/gsbatch-ingest.log     (crontab)
"""


@click.command("ingest", epilog=EXAMPLES)
@click.option("--spool", metavar="DIR", help="The folder to read; the setting spool_dir where it is not given.")
@click.option("--corpus", metavar="FILE", help="The corpus to write; the setting corpus where it is not given.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def command(spool: str | None, corpus: str | None, *, as_json: bool) -> None:
    """Read new traces and Slurm's accounting into the corpus.

    Reads the spool folder and the folders right below it, one for each user; where the setting ends in $USER, root
    reads the folders of all users. Asks sacct once, for all jobs with news.

    A trace is believed only if its job exists and belongs to the file's owner; the others are listed with the reason,
    kept out of the corpus, and looked at again when they change or when time may have changed the reason. One user's
    files take two minutes of an ingest at most; what is left comes first next time. Can be run as often as one likes;
    two at once are not: the second says so and ends with status 9. Run it as root, or as who may read all users'
    traces.

    The exit status is 0 also where files were rejected: any user can write one.
    """
    named = {name: value for name, value in (("spool_dir", spool), ("corpus", corpus)) if value is not None}
    settings = load_settings(command_line=named)
    progress = _progress if sys.stderr.isatty() else lambda _done, _all: None
    summary = ingest_spool(settings, progress=progress)
    click.echo(json.dumps(summary_object(summary)) if as_json else summary_text(summary, settings.corpus))


def _progress(done: int, total: int) -> None:
    """Show progress in one line of the terminal, which is cleared at the end."""
    sys.stderr.write(f"\r{done} of {total} jobs" if done < total else "\r\x1b[K")
    sys.stderr.flush()


def summary_object(summary: IngestSummary) -> dict[str, Any]:
    """The summary as JSON."""
    return asdict(summary) | {
        "spool": str(summary.spool),
        "rejected": [{"path": str(item.path), "reason": item.reason} for item in summary.rejected],
    }


def summary_text(summary: IngestSummary, corpus: Path) -> str:
    """The summary for a person."""
    head = (
        f"{summary.traces_read} traces read, {summary.traces_skipped} unchanged;"
        f" {summary.runs_added} runs added, {summary.runs_updated} updated, {len(summary.rejected)} files rejected;"
        f" spool {summary.spool}, corpus {corpus}"
    )
    if not summary.found:
        head += "\nno trace lies in that folder: is it the one that jobs write to (gsadmin doctor shows the setting)?"
    lines = [head, *(f"  rejected {printable(item.path.name)}: {item.reason}" for item in summary.rejected[:_LISTED])]
    if len(summary.rejected) > _LISTED:
        lines.append(f"  and {len(summary.rejected) - _LISTED} more: gsadmin corpus rejected")
    if summary.rejected_before:
        lines.append(f"{summary.rejected_before} files rejected before were not looked at again")
    if summary.deferred:
        lines.append(f"{summary.deferred} files of users whose share of an ingest is used up are left for the next")
    return "\n".join(lines)
