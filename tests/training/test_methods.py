"""The paper's regressors are fitted with scikit-learn, stored without pickle, and evaluated without scikit-learn."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from advisor.errors import ModelError
from advisor.prediction.features import paper_features
from advisor.prediction.methods import EPOCH_ENERGY, POWER, REGRESSORS, from_bytes
from advisor.registry import METHODS, METHODS_SKOPS
from advisor.training.methods import fit_methods, load_pipelines, method_files
from advisor.training.paper import regressors
from tests.training.runs import varied

RUNS = list(varied(25))


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """What is stored beside a model."""
    return method_files(RUNS, draws=3)


def test_the_arithmetic_is_scikit_learns(files: dict[str, bytes]) -> None:
    """Every regressor predicts from its coefficients what its stored pipeline predicts."""
    pipelines, arithmetic = load_pipelines(files[METHODS_SKOPS]), from_bytes(files[METHODS])
    features = np.array([paper_features(run.setting) for run in RUNS]) * np.linspace(0.5, 2.0, len(RUNS))[:, None]

    assert set(regressors()) == set(REGRESSORS)
    assert {(name, target) for name in REGRESSORS for target in (POWER, EPOCH_ENERGY)} == set(arithmetic)
    for (name, target), regressor in arithmetic.items():
        assert pytest.approx(pipelines[f"{name}|{target}"].predict(features), rel=1e-6) == regressor.predict(features)


def test_predictions_need_no_scikit_learn() -> None:
    """A login node has numpy alone."""
    code = "import sys, advisor.prediction.methods; print(any(m.startswith(('sklearn', 'skops')) for m in sys.modules))"

    assert (
        "False"
        == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    )


def test_too_few_settings_make_no_methods() -> None:
    """Nothing can be said of folds of two rows."""
    assert {} == fit_methods(RUNS[:5])
    assert {} == method_files(RUNS[:5])


@pytest.mark.parametrize("content", [pickle.dumps({"a": 1}), b"", b"PK\x03\x04 no archive"])
def test_what_could_run_code_when_it_is_read_is_refused(content: bytes) -> None:
    """Neither file is ever unpickled."""
    with pytest.raises(ModelError, match="cannot be read"):
        load_pipelines(content)
    with pytest.raises(ModelError, match="cannot be read"):
        from_bytes(content)


def test_arrays_that_do_not_fit_are_refused(files: dict[str, bytes]) -> None:
    """A file of regressors with another number of features is not evaluated."""
    from advisor.prediction import methods  # noqa: PLC0415 (the module itself, whose writer is used)

    wrong = {
        key: methods.Regressor(r.mean[:3], r.scale[:3], r.centers, r.weights, r.intercept, r.gamma)
        for key, r in from_bytes(files[METHODS]).items()
    }

    with pytest.raises(ModelError, match="cannot be read"):
        from_bytes(methods.to_bytes(wrong))
