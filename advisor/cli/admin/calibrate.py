"""``gsadmin calibrate``: shows how far predictions were off, and corrects the model with what was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from advisor.cli.screens.printable import printable
from advisor.settings import load_settings
from advisor.workflows.fits import GROUPS, Fit, corpus_fits
from advisor.workflows.learn import calibrate_from_corpus

if TYPE_CHECKING:
    from advisor.training.recalibrate import CalibrationReport

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsadmin calibrate
    gsadmin calibrate --by partition --model 20261121-040000
    gsadmin calibrate --json | jq '.[] | select(.within < 0.8)'
    gsadmin calibrate --apply                     from cron, after ingest
    gsadmin calibrate --apply --partition hopper
"""


@click.command("calibrate", epilog=EXAMPLES)
@click.option("--corpus", metavar="FILE", help="The corpus; the setting corpus where it is not given.")
@click.option("--by", type=click.Choice(tuple(GROUPS)), default="gpu", show_default=True, help="What to group by.")
@click.option("--model", metavar="VERSION", help="Only predictions of this model.")
@click.option("--apply", "apply_it", is_flag=True, help="Pull the model to what was measured on each partition.")
@click.option("--partition", metavar="NAME", help="With --apply: this partition only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    corpus: str | None, by: str, model: str | None, partition: str | None, *, apply_it: bool, as_json: bool
) -> None:
    """Show how far off predictions were, per GPU and partition; with --apply, correct them.

    For each quantity the median error and the share of runs within the 90% interval, over the runs of the corpus that
    were submitted with a prediction. Well calibrated is a share near 90%: far less means intervals that promise too
    much, and that it is time for gsadmin retrain, which makes them anew from the corpus.

    --apply adds the corpus's runs to the promoted model, each partition's as far as they reach and shrunk towards
    what was known before, and promotes the result; one to three runs on a new GPU already count. It takes seconds and
    refits nothing; gsadmin models rollback returns to the model before.
    """
    settings = load_settings(command_line={"corpus": corpus} if corpus else {})
    if apply_it:
        report = calibrate_from_corpus(settings, partition=partition)
        click.echo(json.dumps(_object(report)) if as_json else _text(report))
        return
    if partition:
        raise click.UsageError("--partition goes with --apply; --by partition groups the figures.")
    fits = corpus_fits(settings, by=by, model=model)
    if as_json:
        click.echo(json.dumps([asdict(fit) for fit in fits]))
    elif not fits:
        click.echo("the corpus has no finished run with a prediction to compare")
    else:
        click.echo("\n".join(_lines(fits)))


def _object(report: CalibrationReport) -> dict[str, object]:
    version = report.stored.version if report.stored else None
    return {"version": version, "partitions": [asdict(shift) for shift in report.shifts]}


def _text(report: CalibrationReport) -> str:
    if report.stored is None:
        return "nothing was calibrated: the corpus has no run to learn from"
    lines = [
        f"{printable(shift.site)}: {shift.runs} runs of {shift.settings} settings; predicted time x"
        f" {shift.time_factor:.2f}, power x {shift.power_factor:.2f}"
        for shift in report.shifts
    ]
    return "\n".join([*lines, f"model {report.stored.version} predicts from now on"])


def _lines(fits: Sequence[Fit]) -> list[str]:
    lines, group = [], None
    for fit in fits:
        if fit.group != group:
            group = fit.group
            lines.append(group)
        lines.append(
            f"  {fit.quantity.ljust(17)}  {fit.runs} runs, median error {fit.error:.0%} (bias {fit.bias:+.0%}),"
            f" {fit.within:.0%} within the 90% interval"
        )
    return lines
