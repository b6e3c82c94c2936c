"""Other estimators beside ours: the offline estimators of arXiv 2307.05520 and public calculators of energy.

The paper's regressors are fitted with scikit-learn (``advisor/training/methods.py``); what they compute is so little
that it is done here from their coefficients, without scikit-learn, which a login node need not have. No method but ours
predicts how long a run takes: all of them are given our duration.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from advisor.errors import ModelError
from advisor.inspection.workload import Workload
from advisor.prediction.features import PAPER_FEATURES, Array, paper_features, setting_of
from advisor.prediction.filled import work_of
from advisor.prediction.prediction import MethodEstimate, Prediction
from advisor.registry import METHODS, StoredModel

REGRESSORS = ("Linear", "Ridge", "Kernel Ridge", "SVM")
POWER, EPOCH_ENERGY = "power", "epoch_energy"  # targets: W of one GPU, J of one epoch on one GPU
_GREEN_ALGORITHMS_W_PER_GB = 0.3725  # of RAM; doi 10.1002/advs.202100707
_GIGA = 1e9


@dataclass(frozen=True, slots=True)
class Regressor:
    """A fitted regressor of standardised features: linear, or a sum of Gaussian bells around ``centers``.

    ``weights`` are of features where ``gamma`` is 0 (then there are no centers), else of centers.
    """

    mean: Array
    scale: Array
    centers: Array
    weights: Array
    intercept: Array
    gamma: Array

    def predict(self, features: Array) -> Array:
        """The target of each row of ``features``, (rows x features)."""
        x = (features - self.mean) / self.scale
        if not len(self.centers):
            return np.asarray(x @ self.weights + self.intercept)
        squared = (x**2).sum(1)[:, None] + (self.centers**2).sum(1)[None, :] - 2.0 * x @ self.centers.T
        return np.asarray(np.exp(-self.gamma * np.maximum(squared, 0.0)) @ self.weights + self.intercept)


Regressors = Mapping[tuple[str, str], Regressor]  # by name and target


def to_bytes(regressors: Regressors) -> bytes:
    """Write regressors as numpy's own archive of arrays: no objects, no pickle."""
    arrays = {
        f"{name}|{target}|{field.name}": getattr(regressor, field.name)
        for (name, target), regressor in regressors.items()
        for field in fields(Regressor)
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def from_bytes(content: bytes) -> Regressors:
    """Read what ``to_bytes`` wrote.

    Raises:
        ModelError: it is something else.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name], dtype=np.float64) for name in archive.files}
        found = {
            (name, target): Regressor(*(arrays[f"{name}|{target}|{field.name}"] for field in fields(Regressor)))
            for name in REGRESSORS
            for target in (POWER, EPOCH_ENERGY)
        }
        for regressor in found.values():
            regressor.predict(np.ones((1, len(PAPER_FEATURES))))
    except (OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as problem:
        raise ModelError(f"The stored regressors cannot be read: {problem}.", hint="Roll back or retrain.") from problem
    return found


def load_regressors(stored: StoredModel) -> Regressors:
    """The paper's regressors that were stored with a model; none where it has none.

    Raises:
        ModelError: they were altered or cannot be read.
    """
    content = stored.optional_file(METHODS)
    return {} if content is None else from_bytes(content)


def with_methods(
    workload: Workload, predictions: Sequence[Prediction], regressors: Regressors
) -> tuple[Prediction, ...]:
    """The predictions with what every other method says of the same run."""
    if not predictions:
        return ()
    epochs = work_of(workload).epochs or None
    features = np.array([paper_features(setting_of(workload, found.placement)) for found in predictions])
    said = {key: regressor.predict(features) for key, regressor in regressors.items()}
    return tuple(
        replace(
            found,
            methods=(
                *_paper(found, epochs, {key: float(values[i]) for key, values in said.items()}),
                *_calculators(found, epochs),
            ),
        )
        for i, found in enumerate(predictions)
    )


def _paper(prediction: Prediction, epochs: float | None, said: Mapping[tuple[str, str], float]) -> list[MethodEstimate]:
    """The paper's two offline estimators with each of its regressors."""
    gpus, epoch_s = prediction.placement.gpus, prediction.epoch_duration_s.value
    found = []
    for name in REGRESSORS:
        if (name, POWER) in said:
            power_w = said[name, POWER] * gpus
            found.append(_estimate(f"offline, power ({name})", offline_energy_j(power_w, epoch_s), epochs, power_w))
    found += [
        _estimate(f"offline, epoch energy ({name})", said[name, EPOCH_ENERGY] * gpus, epochs)
        for name in REGRESSORS
        if (name, EPOCH_ENERGY) in said
    ]
    return found


def _calculators(prediction: Prediction, epochs: float | None) -> list[MethodEstimate]:
    """What needs no more than the board's limit and a duration."""
    placement, epoch_s = prediction.placement, prediction.epoch_duration_s.value
    if not placement.gpu.tdp_w:
        return []
    limit_w = placement.gpu.tdp_w * placement.gpus
    usage = prediction.gpu_utilisation.value if prediction.gpu_utilisation else 1.0
    memory_gb = placement.memory_bytes / _GIGA * placement.nodes
    green_j = green_algorithms_energy_j(limit_w, epoch_s, usage=usage, memory_gb=memory_gb)
    return [
        _estimate("Green Algorithms", green_j, epochs),
        _estimate("MLCO2", mlco2_energy_j(limit_w, epoch_s), epochs),
        _estimate("TDP", limit_w * epoch_s, epochs, limit_w),
        _estimate("TDP x utilisation", limit_w * usage * epoch_s, epochs, limit_w * usage),
    ]


def _estimate(method: str, epoch_j: float, epochs: float | None, power_w: float | None = None) -> MethodEstimate:
    return MethodEstimate(
        method=method,
        mean_power_w=power_w,
        epoch_energy_j=epoch_j,
        energy_j=None if epochs is None else offline_epoch_energy_j(epoch_j, epochs),
    )


def green_algorithms_energy_j(
    limit_w: float, duration_s: float, *, usage: float = 1.0, memory_gb: float = 0.0
) -> float:
    """Green Algorithms (doi 10.1002/advs.202100707): board limit times usage, and 0.3725 W for each GB of RAM."""
    return duration_s * (limit_w * usage + _GREEN_ALGORITHMS_W_PER_GB * memory_gb)


def mlco2_energy_j(limit_w: float, duration_s: float) -> float:
    """MLCO2's estimate: the board limit for the whole duration (arXiv 1910.09700)."""
    return duration_s * limit_w


def offline_energy_j(mean_power_w: float, duration_s: float) -> float:
    """The paper's first offline estimator: predicted mean power times expected duration."""
    return mean_power_w * duration_s


def offline_epoch_energy_j(epoch_energy_j: float, epochs: float) -> float:
    """The paper's second offline estimator: predicted epoch energy times epochs."""
    return epoch_energy_j * epochs
