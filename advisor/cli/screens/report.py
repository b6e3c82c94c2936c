"""Predicted against measured, for one run: the report of ``gseff`` and of ``gsbatch --local``, as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from advisor import units
from advisor.cli.screens.course import course_lines, course_object
from advisor.cli.screens.printable import printable
from advisor.corpus.comparison import Comparison, comparisons, method_comparisons
from advisor.corpus.run import Run
from advisor.recommendation.rates import Rates
from advisor.workflows.course import Course

_SOURCES = {
    **dict.fromkeys(("nvml_counter", "amdsmi_counter"), "the GPUs' energy counters"),
    **dict.fromkeys(("nvml_integral", "amdsmi_integral"), "the GPUs' power readings, integrated"),
    "replay": "recorded GPU readings, replayed: not of this run's GPUs, and nothing is learnt from it",
    "rapl": "RAPL (CPU packages and DRAM; no GPU was measured)",
    "sacct": "Slurm's accounting (whole nodes)",
    "none": "not measured",
}
_NOT_STARTED = ("PENDING", "SUBMITTED")
_QUALITIES = {
    "complete": "the record is complete",
    "cut": "the record was cut: it holds what was written before the recorder ended",
    "damaged": "the record is damaged: some of its lines cannot be read",
}


def report_object(run: Run, course: Course, rates: Rates) -> dict[str, Any]:
    """The report as one JSON object; SI units, each estimate ``{"value", "low", "high"}`` at 90%."""
    carbon_g, cost = _footprint(run, rates)
    epochs_planned = run.workload.epochs.value
    return {
        "cluster": run.cluster,
        "job_id": shown_job_id(run),
        "raw_job_id": run.job_id,
        "restart": run.restart,
        "user": run.user,
        "account": run.account,
        "state": run.state,
        "exit_status": run.exit_status,
        "partition": run.partition,
        "gpu_model": run.gpu_model,
        "gpus": run.gpus,
        "nodes": run.nodes,
        "memory_bytes": run.memory_bytes,
        "cpus": run.cpus,
        "started_at": run.started_at,
        "elapsed_s": run.elapsed_s,
        "epochs": {"planned": epochs_planned, "measured": run.epochs},
        "comparisons": {item.name: _comparison_object(item) for item in comparisons(run)},
        **course_object(course),
        "energy_source": run.energy_source,
        "quality": run.quality,
        "host_energy_j": run.host_energy_j,
        "carbon_g": carbon_g,
        "cost": cost,
        "model": asdict(run.model) if run.model else None,
        "method": run.predicted.method if run.predicted else None,
        "methods": [asdict(item) for item in method_comparisons(run)],
        "found_in_job": run.found_in_job is not None,
    }


def _comparison_object(item: Comparison) -> dict[str, Any]:
    return {
        "predicted": asdict(item.predicted) if item.predicted else None,
        "measured": item.measured,
        "error": item.error,
        "within_interval": item.within_interval,
        "remark": item.remark,
    }


def _footprint(run: Run, rates: Rates) -> tuple[float | None, float | None]:
    """Grams of CO2e and money of what was measured, by the same rules as those of a recommendation."""
    if run.energy_j is None:
        return None, None
    return rates.carbon_g(run.energy_j), rates.cost(run.energy_j, run.gpus, run.duration_s)


def shown_job_id(run: Run) -> str:
    """The id people know: ``5_1`` for a task of array 5."""
    return f"{run.array_job_id}_{run.array_task}" if run.array_job_id and run.array_task else run.job_id


def report_text(run: Run, course: Course, rates: Rates, currency: str = "") -> str:
    """The report for a person."""
    rows = [_row(item) for item in comparisons(run) if item.predicted is not None or item.measured is not None]
    table = _aligned([("", "predicted", "90% interval", "measured", "error", ""), *rows])
    return "\n".join([_headline(run), "", *table, "", *_footnotes(run, course, rates, currency)])


def sum_text(runs: Sequence[Run]) -> str:
    """What the attempts of a requeued job, or the tasks of an array, cost together."""
    energies = [run.energy_j for run in runs if run.energy_j is not None]
    duration = units.human_duration(sum(run.duration_s for run in runs))
    unmeasured = f" ({len(runs) - len(energies)} not measured)" if len(energies) < len(runs) else ""
    energy = units.human_energy(sum(energies)) if energies else "no energy"
    return f"In all, {len(runs)} attempts or tasks: {energy}{unmeasured}, {duration}"


def _headline(run: Run) -> str:
    where = run.partition or ("this machine" if run.local else "no partition")
    gpus = f"{run.gpus} x {run.gpu_model}" if run.gpus and run.gpu_model else "no GPU measured"
    nodes = f" on {run.nodes} nodes" if run.nodes > 1 else ""
    attempt = f" (requeued {run.restart} times)" if run.restart else ""
    name = printable(run.workload.model_name.value or "unnamed model")
    return f"Job {shown_job_id(run)}{attempt}, {run.user}, {name}: {run.state} on {where}, {gpus}{nodes}"


_SHOWN: dict[str, tuple[str, Callable[[float], str]]] = {
    "energy_j": ("energy", units.human_energy),
    "mean_power_w": ("mean power", units.human_power),
    "duration_s": ("duration", units.human_duration),
    "epoch_energy_j": ("energy per epoch", units.human_energy),
    "epoch_duration_s": ("time per epoch", units.human_duration),
    "gpu_utilisation": ("GPU utilisation", "{:.0%}".format),
    "gpu_memory_bytes": ("GPU memory", units.human_memory),
    "host_memory_bytes": ("host memory", units.human_memory),
}


def _row(item: Comparison) -> tuple[str, ...]:
    label, show = _SHOWN[item.name]
    estimate = item.predicted
    verdict = {True: "within", False: "outside", None: item.remark or ""}[item.within_interval]
    return (
        label,
        show(estimate.value) if estimate else "-",
        f"{show(estimate.low)} to {show(estimate.high)}" if estimate else "-",
        show(item.measured) if item.measured is not None else "-",
        f"{item.error:+.0%}" if item.error is not None else "",
        verdict,
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *others = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join([first, *others]).rstrip()


def _outside(run: Run, course: Course) -> str:
    """The time outside epochs, which no prediction covers, where it is more than 1% of the run."""
    if not course.epochs or run.duration_s is None:
        return ""
    outside_s = run.duration_s - sum(epoch.duration_s for epoch in course.epochs)
    if outside_s < run.duration_s / 100:
        return ""
    return f"; {units.human_duration(outside_s)} outside them (imports, data, validation apart)"


def _other_methods(run: Run) -> Iterator[str]:
    """Which of the methods that were asked at submission came nearest to the measured energy."""
    judged = [(abs(item.error), item) for item in method_comparisons(run) if item.error is not None]
    if len(judged) < 2:  # noqa: PLR2004 (ours and another)
        return
    judged.sort(key=lambda pair: pair[0])
    nearest = judged[0][1]
    others = ", ".join(printable(f"{item.method} {item.error:+.0%}") for _, item in judged[1:])
    yield printable(f"nearest to the measured energy: {nearest.method}, {nearest.error:+.0%}; others: ") + others


def _footnotes(run: Run, course: Course, rates: Rates, currency: str) -> Iterator[str]:
    planned = run.workload.epochs.value
    yield f"epochs: {run.epochs} measured" + (f" of {planned} planned" if planned else "") + _outside(run, course)
    yield from map(printable, course_lines(course))
    if run.state in _NOT_STARTED:
        yield "nothing is measured yet"
    else:
        yield f"energy from: {_SOURCES[run.energy_source]}; {_QUALITIES[run.quality]}"
    carbon_g, cost = _footprint(run, rates)
    if carbon_g is not None:
        yield f"carbon: {carbon_g:.3g} gCO2e"
    if cost is not None:
        yield f"cost: {cost:.3g} {currency}".rstrip()
    if run.predicted is None:
        yield "no prediction: this job was not submitted with gsbatch's advice for where it ran"
    elif run.model is not None:
        yield f"predicted by: {run.model.name} {run.model.version} ({run.predicted.method})"
    yield from _other_methods(run)
    if run.found_in_job is not None:
        yield "predicted with what a dry run beside the training found; there was none when it was submitted"
