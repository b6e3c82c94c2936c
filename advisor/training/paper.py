"""The offline regressors of arXiv 2307.05520, whole: features, four models, random search, 5-fold cross-validation.

``python -m advisor.training.paper_tables DATA_FOLDER`` rebuilds its tables 8 and 9 with them, beside its own figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import loguniform
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import KFold, RandomizedSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from advisor.prediction.features import Array, paper_features
from advisor.training.runs import TrainingRun

DRAWS = 100
FOLDS = 5

# Published cross-validation RMSE on the same rows: power in W, epoch energy and stable epoch energy in kJ.
PUBLISHED = {
    "Linear": (28.53, 1.64, 1.80),
    "Ridge": (28.46, 1.65, 1.81),
    "Kernel Ridge": (7.50, 0.75, 0.81),
    "SVM": (12.53, 0.90, 1.00),
}
TARGETS: dict[str, Callable[[TrainingRun], float | None]] = {
    "mean power (W)": lambda run: run.mean_power_w,
    "epoch energy (kJ)": lambda run: _kilo(run.epoch_energy_j),
    "epoch energy from the tenth epoch (kJ)": lambda run: _kilo(run.stable_epoch_energy_j),
}


def _kilo(value: float | None) -> float | None:
    return None if value is None else value / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperScore:
    """Cross-validated figures of one regressor on one target, with the published RMSE."""

    regressor: str
    target: str
    rmse: float
    mae: float
    r2: float
    published_rmse: float


def regressors() -> dict[str, tuple[Any, dict[str, Any]]]:
    """The four regressors with what the random search draws from."""
    return {
        "Linear": (LinearRegression(), {}),
        "Ridge": (Ridge(), {"ridge__alpha": loguniform(1e-4, 1e3)}),
        "Kernel Ridge": (
            KernelRidge(kernel="rbf"),
            {"kernelridge__alpha": loguniform(1e-6, 1e1), "kernelridge__gamma": loguniform(1e-3, 1e1)},
        ),
        "SVM": (
            SVR(kernel="rbf"),
            {"svr__C": loguniform(1e-1, 1e4), "svr__gamma": loguniform(1e-3, 1e1), "svr__epsilon": loguniform(1e-3, 1)},
        ),
    }


def fit_regressor(name: str, features: Array, target: Array, *, draws: int = DRAWS, seed: int = 0) -> Pipeline:
    """Fit one regressor on standardised features, its hyper-parameters by random search inside these rows only."""
    estimator, space = regressors()[name]
    pipeline = make_pipeline(StandardScaler(), estimator)
    if not space:
        return pipeline.fit(features, target)
    folds = KFold(min(FOLDS, len(target)), shuffle=True, random_state=seed)
    search = RandomizedSearchCV(
        pipeline, space, n_iter=draws, cv=folds, scoring="neg_root_mean_squared_error", random_state=seed
    )
    best: Pipeline = search.fit(features, target).best_estimator_
    return best


def cross_validate(runs: Sequence[TrainingRun], *, draws: int = DRAWS, seed: int = 0) -> list[PaperScore]:
    """The scores of ``out_of_fold``'s predictions, for each regressor and target."""
    return scores_of(runs, out_of_fold(runs, draws=draws, seed=seed))


def out_of_fold(runs: Sequence[TrainingRun], *, draws: int = DRAWS, seed: int = 0) -> dict[tuple[str, str], Array]:
    """The paper's evaluation: random 5-fold over runs; what each (regressor, target) predicts of the runs withheld.

    Its folds part repeats of one setting, so that it measures memory of settings more than prediction.
    """
    features = np.array([paper_features(run.setting) for run in runs])
    folds = list(KFold(FOLDS, shuffle=True, random_state=seed).split(features))
    found = {}
    for target, measure in TARGETS.items():
        values = np.array([measure(run) for run in runs], dtype=np.float64)
        for name in regressors():
            predicted = np.empty_like(values)
            for train, test in folds:
                fitted = fit_regressor(name, features[train], values[train], draws=draws, seed=seed)
                predicted[test] = fitted.predict(features[test])
            found[name, target] = predicted
    return found


def scores_of(runs: Sequence[TrainingRun], predictions: Mapping[tuple[str, str], Array]) -> list[PaperScore]:
    """Predictions by (regressor, target) held against what was measured."""
    places = list(TARGETS)
    scores = []
    for (name, target), predicted in predictions.items():
        values = np.array([TARGETS[target](run) for run in runs], dtype=np.float64)
        scores.append(
            PaperScore(
                regressor=name,
                target=target,
                rmse=float(root_mean_squared_error(values, predicted)),
                mae=float(mean_absolute_error(values, predicted)),
                r2=float(r2_score(values, predicted)),
                published_rmse=PUBLISHED[name][places.index(target)],
            )
        )
    return scores


def table(scores: Sequence[PaperScore]) -> str:
    """The scores beside the published RMSE, as a Markdown table."""
    lines = ["| target | regressor | RMSE | published RMSE | MAE | R2 |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {s.target} | {s.regressor} | {s.rmse:.2f} | {s.published_rmse:.2f} | {s.mae:.2f} | {s.r2:.3f} |"
        for s in scores
    ]
    return "\n".join(lines)
