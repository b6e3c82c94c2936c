"""The paper's regressors as methods of a site: fitted to prior and corpus, stored with skops and as plain arithmetic.

skops holds the scikit-learn pipelines, read back only if they hold nothing but trusted types. What they compute is also
written as arrays, which ``gsbatch`` evaluates without scikit-learn.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence

import numpy as np
import skops.io
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from advisor.errors import ModelError
from advisor.prediction import methods
from advisor.prediction.features import paper_features
from advisor.prediction.methods import EPOCH_ENERGY, POWER, REGRESSORS, Regressor, Regressors
from advisor.registry import METHODS, METHODS_SKOPS
from advisor.training.fit import thin
from advisor.training.paper import fit_regressor
from advisor.training.runs import TrainingRun, aggregate

TRUSTED_TYPES = ("numpy.dtype",)
_DRAWS = 20  # of the random search; the paper's 100 take minutes and change little
_FEWEST = 10  # settings; fewer cannot be split into folds that mean anything

Pipelines = Mapping[str, Pipeline]  # by "name|target"


def method_files(runs: Sequence[TrainingRun], *, draws: int = _DRAWS) -> dict[str, bytes]:
    """The files to store beside a model; none where too few settings have power and energy."""
    pipelines = fit_methods(runs, draws=draws)
    if not pipelines:
        return {}
    stored = skops.io.dumps(dict(pipelines))
    # The arithmetic is of what will be read back, so that the two files cannot differ.
    return {METHODS: methods.to_bytes(regressors_of(load_pipelines(stored))), METHODS_SKOPS: stored}


def fit_methods(runs: Sequence[TrainingRun], *, draws: int = _DRAWS) -> Pipelines:
    """Fit the four regressors to power and epoch energy of one GPU, to as many settings of each study as ours sees."""
    chosen = [run for run in thin(aggregate(runs), seed=0) if run.epoch_energy_j is not None]
    if len(chosen) < _FEWEST:
        return {}
    features = np.array([paper_features(run.setting) for run in chosen])
    targets = {
        POWER: np.array([run.mean_power_w for run in chosen], dtype=np.float64),
        EPOCH_ENERGY: np.array([run.epoch_energy_j for run in chosen], dtype=np.float64),
    }
    with threadpool_limits(limits=1):
        return {
            f"{name}|{target}": fit_regressor(name, features, values, draws=draws)
            for name in REGRESSORS
            for target, values in targets.items()
        }


def regressors_of(pipelines: Pipelines) -> Regressors:
    """The same regressors as coefficients."""
    found = {}
    for key, pipeline in pipelines.items():
        name, _, target = key.partition("|")
        found[name, target] = _coefficients(pipeline)
    return found


def _coefficients(pipeline: Pipeline) -> Regressor:
    scaler, estimator = pipeline[0], pipeline[-1]
    if hasattr(estimator, "coef_") and not hasattr(estimator, "support_vectors_"):
        centers, weights, gamma = np.zeros((0, len(scaler.mean_))), estimator.coef_, 0.0
    elif hasattr(estimator, "support_vectors_"):
        centers, weights, gamma = estimator.support_vectors_, estimator.dual_coef_[0], estimator.gamma
    else:
        centers, weights, gamma = estimator.X_fit_, estimator.dual_coef_, estimator.gamma
    intercept = np.ravel(getattr(estimator, "intercept_", 0.0))[0]
    return Regressor(
        mean=np.asarray(scaler.mean_, dtype=np.float64),
        scale=np.asarray(scaler.scale_, dtype=np.float64),
        centers=np.asarray(centers, dtype=np.float64),
        weights=np.ravel(np.asarray(weights, dtype=np.float64)),
        intercept=np.asarray(intercept, dtype=np.float64),
        gamma=np.asarray(gamma, dtype=np.float64),
    )


def load_pipelines(content: bytes) -> Pipelines:
    """Read the pipelines of ``METHODS_SKOPS`` if they hold nothing but trusted types.

    Raises:
        ModelError: they hold other types, or it is no skops file.
    """
    try:
        unknown = set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED_TYPES)
        if unknown:
            raise ModelError(f"The stored regressors hold types that are not trusted: {', '.join(sorted(unknown))}.")
        loaded: Pipelines = skops.io.loads(content, trusted=list(TRUSTED_TYPES))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as problem:
        raise ModelError(f"The stored regressors cannot be read: {problem}.") from problem
    return loaded
