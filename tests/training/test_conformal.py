from __future__ import annotations

import numpy as np
import pytest

from advisor.prediction import process
from advisor.training.conformal import left_out, quantile


def _rows(count: int) -> process.Rows:
    rng = np.random.default_rng(1)
    names = np.array([f"g{i % 5}" for i in range(count)])
    shapes = {"regime": 5, "shape": 7, "board": 4, "bound": 5}
    spaces = {name: rng.normal(size=(count, width)) for name, width in shapes.items()}
    return process.Rows(
        study=names, site=names, gpu=names, network=names, framework=names,
        setting=np.array([str(i) for i in range(count)]), **spaces,
    )  # fmt: skip


def test_the_closed_form_is_what_refitting_without_the_group_gives() -> None:
    """Errors of withheld groups come from one factorisation and equal those of conditioning on the others only."""
    rows, rng = _rows(30), np.random.default_rng(2)
    residuals, runs, groups = rng.normal(size=30), np.ones(30), np.arange(30) % 5
    errors, _ = left_out(process.condition(process.INITIAL, rows, residuals, runs), groups)

    kept, withheld = np.flatnonzero(groups != 3), np.flatnonzero(groups == 3)
    mean, _ = process.condition(process.INITIAL, rows.take(kept), residuals[kept], runs[kept]).predict(
        rows.take(withheld)
    )

    assert pytest.approx(residuals[withheld] - mean, abs=1e-6) == errors[withheld]


def test_a_process_repeats_what_it_was_shown() -> None:
    """On its own rows the process gives back the residuals, closely, with little doubt; far away neither."""
    rows, rng = _rows(30), np.random.default_rng(3)
    residuals = 0.3 * rng.normal(size=30)
    fitted = process.condition(process.INITIAL, rows, residuals, np.full(30, 20.0))

    mean, std = fitted.predict(rows)

    assert pytest.approx(residuals, abs=0.25) == mean
    assert float(std.max()) < float(np.sqrt(process.prior_variance(process.INITIAL, rows)).min())


def test_few_groups_give_a_width_near_the_normals() -> None:
    """One withheld group cannot make intervals narrow."""
    assert pytest.approx(1.645, rel=0.15) == quantile(np.array([0.01, 0.02]), np.array([0, 0]))


def test_a_large_group_does_not_drown_a_small_one() -> None:
    """A study of a thousand easy rows leaves the width that hard groups need."""
    scores = np.concatenate([np.full(1000, 0.1), np.full(60, 3.0)])
    groups = np.concatenate([np.zeros(1000, dtype=int), np.arange(1, 61)])

    assert quantile(scores, groups) > 2
