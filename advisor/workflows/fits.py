"""How far predictions were off, over the runs of the corpus."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from advisor.corpus import rows, store
from advisor.corpus.comparison import Comparison, comparisons
from advisor.corpus.run import Run
from advisor.settings import Settings

QUANTITIES = ("energy_j", "mean_power_w", "duration_s", "epoch_energy_j", "epoch_duration_s", "host_memory_bytes")
GROUPS: Mapping[str, Callable[[Run], str]] = {
    "gpu": lambda run: run.gpu_model or "no GPU",
    "partition": lambda run: run.partition or "local",
    "model": lambda run: run.model.version if run.model else "no model",
    "all": lambda _run: "all runs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How one quantity was predicted over a group of runs.

    ``bias`` is the median of predicted / measured minus 1, ``error`` that of the larger over the
    smaller, ``within`` the share of runs whose measured value lay in the 90% interval.
    """

    group: str
    quantity: str
    runs: int
    bias: float
    error: float
    within: float


def corpus_fits(settings: Settings, *, by: str, model: str | None) -> tuple[Fit, ...]:
    """The fits of all finished runs that were submitted with a prediction.

    Args:
        settings: name the corpus.
        by: one of ``GROUPS``.
        model: the version of the model that predicted; None for any.

    Raises:
        CorpusError: the corpus cannot be read.
    """
    with store.reading(settings.corpus) as db:
        found = [run for run in rows.runs(db, finished=True) if run.predicted is not None]
    chosen = [run for run in found if model is None or (run.model is not None and run.model.version == model)]
    return tuple(fits_of(chosen, by))


def fits_of(runs: Iterable[Run], by: str) -> list[Fit]:
    """The fit of each quantity in each group; only what can be compared counts (see the report)."""
    seen: dict[tuple[str, str], list[Comparison]] = defaultdict(list)
    for run in runs:
        for item in comparisons(run):
            if item.name in QUANTITIES and item.error is not None:
                seen[GROUPS[by](run), item.name].append(item)
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
