"""Judges a model on runs that it has not seen: splits that withhold whole groups, errors, and interval coverage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from advisor.prediction.features import Array
from advisor.prediction.model import MEASURES, PredictionModel
from advisor.prediction.power_scale import power_from_logit
from advisor.prediction.predictor import forecast
from advisor.training.runs import TrainingRun

Group = Callable[[TrainingRun], str]
Scores = dict[str, dict[str, float]]

_MODEL_MEASURES = ("power", "time", "energy", "memory")


@dataclass(frozen=True, slots=True)
class Judged:
    """Predicted and measured values of one quantity over rows, with the interval; NaN where not measured."""

    predicted: Array
    low: Array
    high: Array
    measured: Array

    def figures(self) -> dict[str, float]:
        """MAPE, median absolute percentage error, RMSE, the interval's coverage and typical half-width, and rows.

        The half-width is the median of the square root of high / low, less one: 0.2 reads "within 20% either way".
        """
        there = np.isfinite(self.measured)
        predicted, measured = self.predicted[there], self.measured[there]
        relative = np.abs(predicted / measured - 1)
        inside = (self.low[there] <= measured) & (measured <= self.high[there])
        return {
            "mape": float(relative.mean()),
            "median": float(np.median(relative)),
            "rmse": float(np.sqrt(np.mean((predicted - measured) ** 2))),
            "coverage": float(inside.mean()),
            "half_width": float(np.median(np.sqrt(self.high[there] / self.low[there])) - 1),
            "rows": int(there.sum()),
        }


def judge(model: PredictionModel, runs: Sequence[TrainingRun]) -> dict[str, Judged]:
    """Predict runs and set what was measured beside it: power (W), time (s), energy (J), memory (bytes), of one GPU."""
    seen = forecast(model, [run.setting for run in runs])
    per_step = np.array([run.epoch_duration_s is None for run in runs])
    half = {name: seen.width[MEASURES.index(name)] for name in _MODEL_MEASURES}
    tdp_w = seen.table.tdp_w
    power = seen.power_w
    log_time = np.where(per_step, seen.log_step_s, seen.log_epoch_s)
    spread_power = half["power"] * seen.power_std
    power_low = power_from_logit(seen.power_logit - spread_power, tdp_w)
    power_high = power_from_logit(seen.power_logit + spread_power, tdp_w)
    energy_std = np.hypot(seen.time_std, seen.log_power_std)
    return {
        "power": Judged(power, power_low, power_high, _measured([run.mean_power_w for run in runs])),
        "time": _log_judged(
            log_time, half["time"] * seen.time_std, _measured([r.epoch_duration_s or r.step_duration_s for r in runs])
        ),
        "energy": _log_judged(
            seen.log_epoch_s + np.log(power), half["energy"] * energy_std, _measured([r.epoch_energy_j for r in runs])
        ),
        "memory": _log_judged(
            seen.log_memory, half["memory"] * seen.memory_std, _measured([r.gpu_memory_bytes for r in runs])
        ),
    }


def _log_judged(log_value: Array, half: Array, measured: Array) -> Judged:
    return Judged(np.exp(log_value), np.exp(log_value - half), np.exp(log_value + half), measured)


def _measured(values: Sequence[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def pooled(parts: Sequence[dict[str, Judged]]) -> Scores:
    """Figures over several withheld groups together, every run counting the same."""
    scores = {}
    for name in _MODEL_MEASURES:
        mine = [part[name] for part in parts]
        together = Judged(*(np.concatenate([getattr(j, key) for j in mine]) for key in Judged.__slots__))
        if np.isfinite(together.measured).any():
            scores[name] = together.figures()
    return scores
