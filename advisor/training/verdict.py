"""Whether a new model predicts better than the promoted one: a paired test on runs that neither of them has learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wilcoxon

from advisor.prediction.features import Array
from advisor.training.evaluation import Judged

# With fewer pairs no outcome of the test is unlikely enough.
FEWEST_PAIRS = 6
_SIGNIFICANCE = 0.05
# Two fits to the same runs differ by rounding alone.
_SAME = 1e-9
_CLEARLY = 0.99  # the new model must also err less than this share of what the promoted one errs


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``judged`` settings were predicted by both models; errors are means of the absolute error of the logarithm."""

    is_better: bool
    reason: str
    judged: int
    error_promoted: float | None
    error_candidate: float | None


def verdict(candidate: Sequence[dict[str, Judged]], promoted: Sequence[dict[str, Judged]], on: str) -> Verdict:
    """Compare two models on the same settings, pair by pair (Wilcoxon's signed-rank test, one-sided, 5%).

    Args:
        candidate: what the new model predicted, and what was measured.
        promoted: the same of the promoted model, for the same settings in the same order.
        on: which settings these are, for the reason.
    """
    new, old = _errors(candidate), _errors(promoted)
    count = len(new)
    if count == 0:
        return Verdict(
            is_better=False,
            reason="cannot be compared: no withheld run has a measured energy, power or time",
            judged=0,
            error_promoted=None,
            error_candidate=None,
        )
    mean_new, mean_old = float(new.mean()), float(old.mean())
    errs = f"errs by {mean_new:.1%} where the promoted model errs by {mean_old:.1%} (log scale, {count} {on})"
    better, why = _is_better(new, old)
    return Verdict(
        is_better=better,
        reason=errs if better else f"{errs}: {why}",
        judged=count,
        error_promoted=mean_old,
        error_candidate=mean_new,
    )


def _is_better(new: Array, old: Array) -> tuple[bool, str]:
    if new.mean() >= _CLEARLY * old.mean():
        return False, "not clearly less"
    differ = np.abs(old - new) > _SAME
    if differ.sum() < FEWEST_PAIRS:
        return False, f"fewer than {FEWEST_PAIRS} settings to tell them apart by (gsadmin calibrate --apply needs none)"
    chance = float(wilcoxon(old[differ], new[differ], alternative="greater").pvalue)
    if chance > _SIGNIFICANCE:
        return False, f"chance alone does as much with a probability of {chance:.0%}"
    return True, ""


def _errors(parts: Sequence[dict[str, Judged]]) -> Array:
    """The absolute error of the logarithm for each setting, of its energy, else of its power, else of its time."""
    found = []
    for part in parts:
        chosen = np.full(len(part["energy"].measured), np.nan)
        for name in ("time", "power", "energy"):
            judged = part[name]
            there = np.isfinite(judged.measured)
            chosen[there] = np.abs(np.log(judged.predicted[there] / judged.measured[there]))
        found.append(chosen[np.isfinite(chosen)])
    return np.concatenate(found) if found else np.empty(0)
