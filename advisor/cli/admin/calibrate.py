"""``gsadmin calibrate``: how well what was predicted fits what was measured, and partitions pulled to it."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import click

from advisor.cli.screens.report import printable
from advisor.corpus import rows, store
from advisor.corpus.comparison import Comparison, comparisons
from advisor.corpus.run import Run
from advisor.inventory.site_gpus import catalogue_with
from advisor.settings import Settings, load_settings
from advisor.training.corpus_runs import training_runs
from advisor.training.recalibrate import CalibrationReport, recalibrate
from advisor.workflows.advise import site_registry

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsadmin calibrate
    gsadmin calibrate --by partition --model 20261121-040000
    gsadmin calibrate --json | jq '.[] | select(.within < 0.8)'
    gsadmin calibrate --apply                     from cron, after ingest
    gsadmin calibrate --apply --partition hopper
"""
QUANTITIES = ("energy_j", "mean_power_w", "duration_s", "epoch_energy_j", "epoch_duration_s", "host_memory_bytes")
_GROUPS: dict[str, Callable[[Run], str]] = {
    "gpu": lambda run: run.gpu_model or "no GPU",
    "partition": lambda run: run.partition or "local",
    "model": lambda run: run.model.version if run.model else "no model",
    "all": lambda _run: "all runs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How one quantity was predicted over a group of runs.

    ``bias`` is the median of predicted / measured minus 1, ``error`` the median of its size either way, ``within`` the
    share of runs whose measured value lay in the 90% interval.
    """

    group: str
    quantity: str
    runs: int
    bias: float
    error: float
    within: float


@click.command("calibrate", epilog=EXAMPLES)
@click.option("--corpus", metavar="FILE", help="The corpus; the setting corpus where it is not given.")
@click.option("--by", type=click.Choice(tuple(_GROUPS)), default="gpu", show_default=True, help="What to group by.")
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
        report = _applied(settings, partition)
        click.echo(json.dumps(_object(report)) if as_json else _text(report))
        return
    if partition:
        raise click.UsageError("--partition goes with --apply; --by partition groups the figures.")
    with store.reading(settings.corpus) as db:
        found = [run for run in rows.runs(db, finished=True) if run.predicted is not None]
    chosen = [run for run in found if model is None or (run.model is not None and run.model.version == model)]
    fits = fits_of(chosen, by)
    if as_json:
        click.echo(json.dumps([asdict(fit) for fit in fits]))
    elif not fits:
        click.echo("the corpus has no finished run with a prediction to compare")
    else:
        click.echo("\n".join(_lines(fits)))


def _applied(settings: Settings, partition: str | None) -> CalibrationReport:
    with store.reading(settings.corpus) as db:
        usable, _left_out = training_runs(rows.runs(db, finished=True), catalogue_with(settings.gpu_catalogue))
    return recalibrate(usable, site_registry(settings), only_site=partition)


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


def fits_of(runs: Iterable[Run], by: str) -> list[Fit]:
    """The fit of each quantity in each group; only what can be compared counts (see the report)."""
    seen: dict[tuple[str, str], list[Comparison]] = defaultdict(list)
    for run in runs:
        for item in comparisons(run):
            if item.name in QUANTITIES and item.error is not None:
                seen[_GROUPS[by](run), item.name].append(item)
    ordered = sorted(seen.items(), key=lambda entry: (entry[0][0], QUANTITIES.index(entry[0][1])))
    return [_fit(group, quantity, items) for (group, quantity), items in ordered]


def _fit(group: str, quantity: str, items: Sequence[Comparison]) -> Fit:
    logs = [math.log1p(item.error) for item in items if item.error is not None]
    return Fit(
        group=group,
        quantity=quantity,
        runs=len(items),
        bias=math.expm1(median(logs)),
        error=math.expm1(median(abs(log) for log in logs)),
        within=sum(item.within_interval is True for item in items) / len(items),
    )


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
