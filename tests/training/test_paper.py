from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from advisor.errors import ModelError
from advisor.training.paper import (
    TARGETS,
    cross_validate,
    fit_regressor,
    green_algorithms_energy_j,
    load_regressor,
    mlco2_energy_j,
    regressors,
    save_regressor,
)
from advisor.training.prior_data import read_prior
from tests.training.prior import PRIOR_DATA, needs_prior_data
from tests.training.runs import varied


@pytest.mark.parametrize("name", sorted(regressors()))
def test_every_regressor_is_stored_without_pickle(name: str, tmp_path: Path) -> None:
    """What is loaded predicts what was stored."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 9))
    fitted = fit_regressor(name, features, features @ np.arange(9.0), draws=3)
    save_regressor(fitted, tmp_path / "model.skops")

    loaded = load_regressor(tmp_path / "model.skops")

    assert pytest.approx(fitted.predict(features)) == loaded.predict(features)


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    """A file that could run code when it is read is refused."""
    (tmp_path / "model.skops").write_bytes(pickle.dumps({"a": 1}))

    with pytest.raises(ModelError, match="cannot be read"):
        load_regressor(tmp_path / "model.skops")


def test_cross_validation_gives_all_twelve_scores() -> None:
    """Four regressors on three targets, each beside its published figure."""
    from dataclasses import replace  # noqa: PLC0415

    runs = [replace(r, stable_epoch_energy_j=1000.0 + i) for i, r in enumerate(varied(25))]

    scores = cross_validate(runs, draws=2)

    assert {(s.regressor, s.target) for s in scores} == {(name, target) for name in regressors() for target in TARGETS}


def test_baselines_are_their_papers_formulas() -> None:
    """MLCO2 is the limit times time; Green Algorithms adds 0.3725 W for each GB of RAM."""
    assert mlco2_energy_j(350.0, 100.0) == 35_000.0
    assert green_algorithms_energy_j(350.0, 100.0, usage=0.5, memory_gb=16.0) == 100.0 * (175.0 + 5.96)


@needs_prior_data
def test_linear_and_ridge_reach_the_published_figures() -> None:
    """The features are the paper's: without hyper-parameters to search, the errors are its errors."""
    runs = read_prior(PRIOR_DATA, ("delrey",))

    linear = [s for s in cross_validate(runs, draws=2) if s.regressor == "Linear"]

    assert all(pytest.approx(score.published_rmse, rel=0.02) == score.rmse for score in linear)
