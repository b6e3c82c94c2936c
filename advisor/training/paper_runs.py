"""The paper's estimates of whole runs: both offline and both online estimators beside Green Algorithms and MLCO2.

The published figures are of test runs that were never published. What can be rebuilt: the offline estimators and both
baselines on the published training runs, each predicted out of fold, for the number of epochs at which MLCO2 errs as
published (the table's one free scale); the online estimators on DeepGreen's runs, the only ones with single epochs.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from advisor.inventory.catalogue import load_catalogue
from advisor.prediction.features import Array
from advisor.prediction.methods import (
    green_algorithms_energy_j,
    mlco2_energy_j,
    offline_energy_j,
    offline_epoch_energy_j,
)
from advisor.training.paper import TARGETS
from advisor.training.runs import TrainingRun

# RMSE in kJ on the paper's own test runs.
PUBLISHED_RUNS = {
    "Green Algorithms": 132.5,
    "MLCO2": 159.4,
    "offline, power": 27.8,
    "offline, epoch energy": 50.0,
    "online, power": 10.7,
    "online, epoch energy": 7.2,
}
STABLE_FROM = 10
WINDOW = 5
EPOCHS_FILE = "deepgreen_l40s_pytorch.csv"
_KILO = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunScore:
    """One estimator of whole runs: RMSE in kJ, MAPE, on how many runs of which study, beside the published RMSE."""

    estimator: str
    study: str
    runs: int
    rmse_kj: float
    mape: float
    published_rmse_kj: float


def online_power_energy_j(epoch_energy_j: Array, epoch_duration_s: Array) -> float:
    """The paper's first online estimator: mean power over a window of stable epochs times the run's duration."""
    window = slice(STABLE_FROM, STABLE_FROM + WINDOW)
    return float(epoch_energy_j[window].sum() / epoch_duration_s[window].sum() * epoch_duration_s.sum())


def online_epoch_energy_j(epoch_energy_j: Array) -> float:
    """The paper's second: energy of the window stretched to all stable epochs, plus that of the unstable ones."""
    stable = len(epoch_energy_j) - STABLE_FROM
    window = epoch_energy_j[STABLE_FROM : STABLE_FROM + WINDOW]
    return float(window.sum() * stable / len(window) + epoch_energy_j[:STABLE_FROM].sum())


def offline_scores(runs: Sequence[TrainingRun], out_of_fold: Mapping[tuple[str, str], Array]) -> list[RunScore]:
    """Offline estimators and baselines; ``out_of_fold`` holds predictions by (regressor, target)."""
    power, epoch = (("Kernel Ridge", target) for target in list(TARGETS)[:2])
    duration = np.array([run.epoch_duration_s for run in runs], dtype=np.float64)
    tdp = np.array([run.setting.gpu.tdp_w for run in runs])
    ram = np.array([run.setting.allocated_memory_bytes / 1e9 for run in runs])
    measured = np.array([run.epoch_energy_j for run in runs], dtype=np.float64)
    one_epoch = {
        "Green Algorithms": [
            green_algorithms_energy_j(w, t, memory_gb=gb) for w, t, gb in zip(tdp, duration, ram, strict=True)
        ],
        "MLCO2": [mlco2_energy_j(w, t) for w, t in zip(tdp, duration, strict=True)],
        "offline, power": [offline_energy_j(w, t) for w, t in zip(out_of_fold[power], duration, strict=True)],
        "offline, epoch energy": [offline_epoch_energy_j(kj * _KILO, 1) for kj in out_of_fold[epoch]],
    }
    epochs = PUBLISHED_RUNS["MLCO2"] * _KILO / _rmse(np.array(one_epoch["MLCO2"]), measured)
    study = f"delrey2024, {epochs:.0f} epochs"
    return [_score(name, study, epochs * np.array(found), epochs * measured) for name, found in one_epoch.items()]


def online_scores(data_dir: Path) -> list[RunScore]:
    """Online estimators, and MLCO2 for comparison, on runs of which every epoch was measured."""
    series: dict[tuple[str, str], list[tuple[int, float, float]]] = defaultdict(list)
    gpu = ""
    with (data_dir / EPOCHS_FILE).open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            gpu = row["gpu"]
            epoch = (int(row["epoch_index"]), float(row["epoch_energy_j"]), float(row["epoch_duration_s"]))
            series[row["network"], row["dataset"]].append(epoch)
    limit_w = load_catalogue().identify(gpu).tdp_w or np.nan
    found: dict[str, list[float]] = defaultdict(list)
    measured = []
    for epochs in series.values():
        _, energy_j, duration_s = (np.array(values) for values in zip(*sorted(epochs), strict=True))
        measured.append(energy_j.sum())
        found["MLCO2"].append(mlco2_energy_j(limit_w, duration_s.sum()))
        found["online, power"].append(online_power_energy_j(energy_j, duration_s))
        found["online, epoch energy"].append(online_epoch_energy_j(energy_j))
    return [_score(name, "deepgreen", np.array(values), np.array(measured)) for name, values in found.items()]


def _rmse(predicted: Array, measured: Array) -> float:
    return float(np.sqrt(np.mean((predicted - measured) ** 2)))


def _score(estimator: str, study: str, predicted_j: Array, measured_j: Array) -> RunScore:
    return RunScore(
        estimator=estimator,
        study=study,
        runs=len(measured_j),
        rmse_kj=_rmse(predicted_j, measured_j) / _KILO,
        mape=float(np.mean(np.abs(predicted_j / measured_j - 1))),
        published_rmse_kj=PUBLISHED_RUNS[estimator],
    )


def runs_table(scores: Sequence[RunScore]) -> str:
    """The scores beside the published RMSE, as a Markdown table."""
    lines = [
        "| estimator of a whole run | our runs | RMSE (kJ) | MAPE | published RMSE (kJ), other runs |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {s.estimator} | {s.study}, {s.runs} runs | {s.rmse_kj:.2f} | {s.mape:.1%} | {s.published_rmse_kj:.1f} |"
        for s in scores
    ]
    return "\n".join(lines)
