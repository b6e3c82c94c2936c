from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from advisor.prediction.methods import green_algorithms_energy_j, mlco2_energy_j
from advisor.training.paper import TARGETS, cross_validate, regressors
from advisor.training.paper_runs import offline_scores, online_epoch_energy_j, online_power_energy_j, online_scores
from advisor.training.prior_data import read_prior
from tests.training.prior import PRIOR_DATA, needs_prior_data
from tests.training.runs import varied

pytestmark = pytest.mark.slow


def test_cross_validation_gives_all_twelve_scores() -> None:
    """Four regressors on three targets, each beside its published figure."""
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


def test_online_estimators_are_exact_on_a_steady_run() -> None:
    """Epochs that all cost the same are projected without error, whatever the first ten cost."""
    energy_j = np.array([900.0] * 10 + [500.0] * 20)
    steady = np.full(30, 500.0)

    assert pytest.approx(energy_j.sum()) == online_epoch_energy_j(energy_j)
    assert pytest.approx(steady.sum()) == online_power_energy_j(steady, np.full(30, 2.0))


def test_offline_estimators_stand_on_the_scale_at_which_mlco2_errs_as_published() -> None:
    """Runs' epochs are not published: MLCO2's published error sets how many there were, for all estimators alike."""
    runs = [replace(r, setting=replace(r.setting, allocated_memory_bytes=16e9)) for r in varied(20)]
    power = np.array([r.mean_power_w for r in runs], dtype=np.float64)
    energy_kj = np.array([r.epoch_energy_j for r in runs], dtype=np.float64) / 1000
    first, second, _ = TARGETS

    scores = offline_scores(runs, {("Kernel Ridge", first): power, ("Kernel Ridge", second): 1.1 * energy_kj})
    found = {score.estimator: score for score in scores}

    assert pytest.approx(159.4) == found["MLCO2"].rmse_kj
    assert found["Green Algorithms"].rmse_kj > found["MLCO2"].rmse_kj
    assert pytest.approx(0.0, abs=1e-9) == found["offline, power"].rmse_kj
    assert pytest.approx(0.1) == found["offline, epoch energy"].mape


@needs_prior_data
def test_online_estimators_err_little_on_measured_runs() -> None:
    """On runs with every epoch measured, a window of five stable epochs gives the run within a few percent."""
    scores = {score.estimator: score for score in online_scores(PRIOR_DATA)}

    assert scores["online, power"].mape < 0.05
    assert scores["online, epoch energy"].mape < 0.05
    assert scores["MLCO2"].mape > 0.3
