"""The corpus as CSV: one attempt a line, SI units."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import IO

from advisor.corpus.run import Run
from advisor.inspection.workload import Workload
from advisor.storage.plain_text import cell

# Fields of Run that are values of their own; facts, predictions and model follow under names of their own.
_EXPORTED = tuple(name for name in Run.__dataclass_fields__ if name not in {"workload", "predicted", "model"})
_FACTS = tuple(name for name, _ in Workload().facts())
_PREDICTED = ("energy_j", "mean_power_w", "duration_s", "epoch_energy_j", "epoch_duration_s")
_ENDS = ("value", "low", "high")
_COLUMNS = (
    *_EXPORTED,
    *(f"workload_{name}" for name in _FACTS),
    *(f"predicted_{name}_{end}" for name in _PREDICTED for end in _ENDS),
    "model_name",
    "model_version",
)


def export_csv(found: Iterable[Run], file: IO[str]) -> None:
    """Write runs as CSV with a header line; texts that a spreadsheet would run as a formula are made plain."""
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    writer.writerows([cell(value) for value in _csv_row(run)] for run in found)


def _csv_row(run: Run) -> list[object]:
    estimates = [getattr(run.predicted, name) if run.predicted else None for name in _PREDICTED]
    return [
        *(getattr(run, name) for name in _EXPORTED),
        *(getattr(run.workload, name).value for name in _FACTS),
        *(getattr(estimate, end) if estimate else None for estimate in estimates for end in _ENDS),
        run.model.name if run.model else None,
        run.model.version if run.model else None,
    ]
