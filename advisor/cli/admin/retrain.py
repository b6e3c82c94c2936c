"""``gsadmin retrain``: fits a new model to the prior and the corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from advisor.cli.screens.printable import printable
from advisor.settings import load_settings
from advisor.workflows.learn import Retraining, retrain_from_corpus

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsadmin retrain                               from cron, weekly
    gsadmin retrain --no-promote && gsadmin models show VERSION
    sbatch --cpus-per-task=1 --wrap "gsadmin retrain"
"""
# More runs left out than this are counted, not listed; --json lists all.
_LISTED = 10


@click.command("retrain", epilog=EXAMPLES)
@click.option("--corpus", metavar="FILE", help="The corpus to learn from; the setting corpus where it is not given.")
@click.option("--prior-data", metavar="DIR", help="Public studies (CSV files), in place of the rows that ship.")
@click.option("--no-promote", is_flag=True, help="Store the new model, but let the present one go on predicting.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def command(corpus: str | None, prior_data: str | None, *, no_promote: bool, as_json: bool) -> None:
    """Fit a new model from the prior and the corpus.

    The new model is stored as a new version with its card, and judged on corpus runs that it has not seen. It is
    promoted, which means that it predicts from then on, only where it errs clearly less than the present one;
    gsadmin models rollback returns to that.
    """
    settings = load_settings(command_line={"corpus": corpus} if corpus else {})
    done = retrain_from_corpus(
        settings, prior_data_dir=Path(prior_data) if prior_data else None, promote=not no_promote
    )
    click.echo(json.dumps(report_object(done)) if as_json else report_text(done))


def report_object(done: Retraining) -> dict[str, Any]:
    """The report as JSON; errors are means of the absolute error of the logarithm on withheld runs."""
    report = done.report
    return {
        "version": report.stored.version if report.stored else None,
        "promoted": report.promoted,
        "reason": report.reason,
        "corpus_runs": report.corpus_runs,
        "settings": report.settings,
        "fresh_runs": report.fresh_runs,
        "judged": report.judged,
        "error_promoted": report.error_promoted,
        "error_candidate": report.error_candidate,
        "left_out": list(done.left_out),
    }


def report_text(done: Retraining) -> str:
    """The report for a person."""
    report, left_out = done.report, done.left_out
    lines = [f"{report.corpus_runs} runs of the corpus can be learned from, {len(left_out)} are left out"]
    lines += [printable(f"  left out {line}") for line in left_out[:_LISTED]]
    if len(left_out) > _LISTED:
        lines.append(f"  and {len(left_out) - _LISTED} more: --json lists all")
    if report.stored is None:
        return "\n".join([*lines, f"no model was made: {report.reason}"])
    verdict = "promoted" if report.promoted else "stored, not promoted"
    return "\n".join(
        [
            *lines,
            f"model {report.stored.version}: {verdict}; it {report.reason}",
            f"see its card with: gsadmin models show {report.stored.version}",
        ]
    )
