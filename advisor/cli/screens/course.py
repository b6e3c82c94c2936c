"""The course of a run as lines of the report and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from advisor import units
from advisor.corpus.run import RunEpoch
from advisor.telemetry.trace import Projection
from advisor.workflows.course import Course

_METHODS = {"power": "by mean power", "epoch_energy": "by epoch energy"}


def course_object(course: Course) -> dict[str, Any]:
    """As JSON: ``projection`` is the best one, ``projections`` holds the paper's two estimators as well."""
    return {
        "per_epoch": [{**asdict(epoch), **_rates(epoch)} for epoch in course.epochs],
        "projection": asdict(course.projections[-1]) if course.projections else None,
        "projections": [asdict(projection) for projection in course.projections],
        "stop": asdict(course.stop) if course.stop else None,
    }


def course_lines(course: Course) -> Iterator[str]:
    """As lines of text."""
    yield from _epoch_line(course.epochs)
    if course.projections:
        yield _projection_line(course.projections[-1])
        others = [
            f"{_METHODS[projection.method]} {units.human_energy(projection.energy_j)}"
            for projection in course.projections
            if projection.method in _METHODS
        ]
        if others:
            yield f"  the paper's estimators: {', '.join(others)}"
    if course.stop is not None:
        yield f"to be stopped after epoch {course.stop.index + 1} ({_told(course.stop.by)}): {course.stop.reason}"


def _epoch_line(epochs: Sequence[RunEpoch]) -> Iterator[str]:
    """The median epoch: the first one is slower than the others and would distort a mean."""
    if not epochs:
        return
    parts = []
    for name, show in (("steps", "{:,.0f} steps"), ("samples", "{:,.0f} samples")):
        known = [getattr(epoch, name) for epoch in epochs if getattr(epoch, name) is not None]
        if known:
            parts.append(show.format(statistics.median(known)))
    for name, show in (("samples_per_s", "{:,.3g} samples/s"), ("joules_per_sample", "{:.3g} J per sample")):
        rates = [rate for rate in (_rates(epoch)[name] for epoch in epochs) if rate is not None]
        if rates:
            parts.append(show.format(statistics.median(rates)))
    if parts:
        yield f"an epoch, in the median: {', '.join(parts)}"


def _told(by: str | None) -> str:
    if by is None:
        return "the training was not told"
    return f"the training was not told: {by.removeprefix('none: ')}" if by.startswith("none") else f"told by {by}"


def _rates(epoch: RunEpoch) -> dict[str, float | None]:
    samples, energy_j = epoch.samples, epoch.gpu_energy_j
    return {
        "samples_per_s": samples / epoch.duration_s if samples and epoch.duration_s > 0 else None,
        "joules_per_sample": energy_j / samples if samples and energy_j is not None else None,
    }


def _projection_line(projection: Projection) -> str:
    low, high = units.human_energy(projection.energy_low_j), units.human_energy(projection.energy_high_j)
    duration = f", {units.human_duration(projection.duration_s)} in all" if projection.duration_s else ""
    after = f" after epoch {projection.epochs_done} of {projection.epochs_in_all}" if projection.epochs_done else ""
    basis = "stable"
    if projection.method == "early":
        basis = "early: no stable epochs yet"
    elif projection.stable_from is not None:
        basis = f"stable since epoch {projection.stable_from + 1}"
    return f"projected{after}: {units.human_energy(projection.energy_j)} ({low} to {high}){duration}; {basis}"
