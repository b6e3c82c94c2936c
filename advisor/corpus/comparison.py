"""Predicted against measured, for one run."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.corpus.run import GPU_ENERGY_SOURCES, Run
from advisor.prediction.prediction import Estimate

# In the order of the report.
QUANTITIES = (
    "energy_j",
    "mean_power_w",
    "duration_s",
    "epoch_energy_j",
    "epoch_duration_s",
    "gpu_utilisation",
    "gpu_memory_bytes",
    "host_memory_bytes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One predicted quantity beside its measured value, same unit.

    ``error`` is (predicted - measured) / measured; ``within_interval`` whether the measured value lies within the 90%
    interval. Both are None where there is nothing to compare, then ``remark`` may say why.
    """

    name: str
    predicted: Estimate | None
    measured: float | None
    error: float | None
    within_interval: bool | None
    remark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodComparison:
    """What another method said of a run's energy, and its error: (said - measured) / measured.

    ``said_j`` is of the whole run where that can be held against what was measured, else of an epoch; None where the
    method did not say it. ``error`` is None where there is nothing to compare.
    """

    method: str
    said_j: float | None
    error: float | None


def method_comparisons(run: Run) -> tuple[MethodComparison, ...]:
    """Ours first, then every other method that was asked when the job was submitted; none without a ticket."""
    if run.predicted is None:
        return ()
    of_run, of_epoch = (_compare(run, name) for name in ("energy_j", "epoch_energy_j"))
    whole = of_run.error is not None or of_epoch.error is None
    own = of_run if whole else of_epoch
    found = [
        MethodComparison(
            method=run.predicted.method,
            said_j=own.predicted.value if own.predicted else None,
            error=own.error,
        )
    ]
    for said in run.predicted.methods:
        said_j = said.energy_j if whole else said.epoch_energy_j
        error = None
        if own.error is not None and said_j is not None and own.measured:
            error = (said_j - own.measured) / own.measured
        found.append(MethodComparison(method=said.method, said_j=said_j, error=error))
    return tuple(found)


def comparisons(run: Run) -> tuple[Comparison, ...]:
    """Every quantity that was predicted or measured, in the order of the report."""
    return tuple(_compare(run, name) for name in QUANTITIES)


def _compare(run: Run, name: str) -> Comparison:
    predicted: Estimate | None = getattr(run.predicted, name) if run.predicted else None
    measured: float | None = getattr(run, name)
    if measured is None:
        return Comparison(name=name, predicted=predicted, measured=None, error=None, within_interval=None)
    remark = _why_not_comparable(run, name)
    # A prediction of nothing, from a corpus of an earlier version, has no ratio to what was measured.
    if predicted is None or remark is not None or measured <= 0 or predicted.value <= 0:
        return Comparison(
            name=name, predicted=predicted, measured=measured, error=None, within_interval=None, remark=remark
        )
    return Comparison(
        name=name,
        predicted=predicted,
        measured=measured,
        error=(predicted.value - measured) / measured,
        within_interval=predicted.low <= measured <= predicted.high,
    )


def _why_not_comparable(run: Run, name: str) -> str | None:
    """What is predicted is the GPUs' share of the whole run; only a run that did all of it can be held against it."""
    if name in {"energy_j", "mean_power_w"} and run.energy_source not in {*GPU_ENERGY_SOURCES, "replay"}:
        return "not of the GPUs"
    if name in {"energy_j", "duration_s"} and run.state != "COMPLETED":
        return f"so far; the job is {run.state}"
    return None
