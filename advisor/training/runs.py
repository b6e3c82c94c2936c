"""What training learns from: one measured run, whatever it came from, and runs of one setting taken together."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from advisor.prediction.features import Array, Setting

# One user may weigh no more than this many runs of one setting.
RUNS_PER_USER_AND_SETTING = 20
# So many settings of one site may be one user's alone, or as many as all others have together.
SETTINGS_PER_USER = 50
# A run counts half as much as one of its setting that ended a month later.
HALF_LIFE_S = 30 * 86400.0
_ROUNDING = 1e-9
_REPEATS_FOR_A_SPREAD = 5
_FEWEST_WITH_A_MIDDLE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """One measured run. Power and energy are of one GPU; a value that was not measured is None.

    ``setting.site`` names the machine kind that the run shares its host with. ``runs`` is how many measured runs this
    one stands for; ``ended_at`` is when the last of them ended, in seconds since the epoch; the spreads are the
    standard deviations of log duration, log power and log energy over them.
    """

    setting: Setting
    mean_power_w: float | None = None
    epoch_duration_s: float | None = None
    step_duration_s: float | None = None
    stable_epoch_energy_j: float | None = None
    gpu_utilisation: float | None = None
    gpu_memory_bytes: float | None = None
    host_memory_bytes: float | None = None
    user: str = ""
    script_hash: str = ""
    ended_at: float | None = None
    runs: int = 1
    time_spread: float | None = None
    power_spread: float | None = None
    energy_spread: float | None = None

    @property
    def epoch_energy_j(self) -> float | None:
        """Energy of one epoch on one GPU: mean power times duration."""
        if self.mean_power_w is None or self.epoch_duration_s is None:
            return None
        return self.mean_power_w * self.epoch_duration_s


MEASURES = (
    "mean_power_w",
    "epoch_duration_s",
    "step_duration_s",
    "stable_epoch_energy_j",
    "gpu_utilisation",
    "gpu_memory_bytes",
    "host_memory_bytes",
)


def usable(run: TrainingRun) -> bool:
    """Whether every measured value is finite and positive, at least one is there, and the power can be this GPU's."""
    values = [value for name in MEASURES if (value := getattr(run, name)) is not None]
    if not values or not all(math.isfinite(v) and v > 0 for v in values):
        return False
    setting = run.setting
    numbers = (setting.forward_flops, setting.batch_size, setting.train_samples, setting.parameters, setting.layers)
    if not all(math.isfinite(v) and v > 0 for v in numbers):
        return False
    # A board cannot draw a third above its limit, averaged over a run; such a record is of something else.
    return run.mean_power_w is None or run.mean_power_w <= 1.3 * setting.gpu.tdp_w


def setting_key(setting: Setting) -> tuple[object, ...]:
    """What makes two runs repeats of one setting on one RAM allocation."""
    return (*workload_key(setting), round(setting.allocated_memory_bytes / 2**30))


def workload_key(setting: Setting) -> tuple[object, ...]:
    """As ``setting_key`` without the RAM allocation, which should not change the training."""
    return (
        setting.study, setting.site, setting.gpu.name, setting.gpus, setting.nodes, setting.framework, setting.network,
        _digits(setting.forward_flops), setting.parameters, setting.layers, setting.precision, setting.batch_size,
        setting.input_elements, _digits(setting.train_samples), _digits(setting.validation_samples),
    )  # fmt: skip


def _digits(value: float) -> float:
    """The value to two significant digits: 3059 and 3060 samples are one setting."""
    return float(f"{value:.2g}")


def aggregate(runs: Iterable[TrainingRun]) -> list[TrainingRun]:
    """One run for each setting: a robust mean of its usable runs, no user and script counting beyond a cap.

    Robust, and capped for each user, so that a faulty meter or one user's thousand runs cannot carry a setting, and one
    user's hundreds of settings not a site.
    """
    groups: dict[tuple[object, ...], dict[str, dict[str, list[TrainingRun]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for run in runs:
        if usable(run):
            mine = groups[setting_key(run.setting)][run.user][run.script_hash]
            if len(mine) < RUNS_PER_USER_AND_SETTING:
                mine.append(run)
    typical = [_typical_run([list(scripts.values()) for scripts in by_user.values()]) for by_user in groups.values()]
    return _capped(typical)


def _typical_run(of_each_user: Sequence[Sequence[Sequence[TrainingRun]]]) -> TrainingRun:
    """A robust mean over a script's runs, the median over a user's scripts, then over users: one voice each."""
    runs = [run for scripts in of_each_user for mine in scripts for run in mine]
    if len(runs) == 1:
        return runs[0]
    newest_s = max((run.ended_at for run in runs if run.ended_at is not None), default=0.0)
    typical: dict[str, Any] = {}
    for name in MEASURES:
        voices = [voice for scripts in of_each_user if (voice := _voice(scripts, name, newest_s)) is not None]
        typical[name] = _weighted_median(voices) if voices else None
    return replace(
        runs[0],
        **typical,
        user=runs[0].user if len(of_each_user) == 1 else "",
        ended_at=newest_s or None,
        runs=sum(_weight(scripts) for scripts in of_each_user),
        time_spread=_log_spread([run.epoch_duration_s or run.step_duration_s for run in runs]),
        power_spread=_log_spread([run.mean_power_w for run in runs]),
        energy_spread=_log_spread([run.epoch_energy_j for run in runs]),
    )


def _voice(scripts: Sequence[Sequence[TrainingRun]], name: str, newest_s: float) -> tuple[float, float] | None:
    """What one user's scripts say of a measure, and how recently: the weight of their newest run."""
    found = []
    for mine in scripts:
        said = [(value, _recency(run, newest_s)) for run in mine if (value := getattr(run, name)) is not None]
        if said:
            values, weights = (np.array(column) for column in zip(*said, strict=True))
            found.append((_robust_mean(values, weights), float(weights.max())))
    return (_weighted_median(found), max(weight for _, weight in found)) if found else None


def _recency(run: TrainingRun, newest_s: float) -> float:
    """A run's weight beside the newest of its setting: machines, drivers and power caps change under a site."""
    return 1.0 if run.ended_at is None else 0.5 ** (max(newest_s - run.ended_at, 0.0) / HALF_LIFE_S)


def _weighted_median(said: Sequence[tuple[float, float]]) -> float:
    """The value with half of the weight on either side; the mean of two where the halves meet between them."""
    values, weights = (np.array(column) for column in zip(*sorted(said), strict=True))
    shares = np.cumsum(weights) / weights.sum()
    low, high = (int(np.searchsorted(shares, half)) for half in (0.5 - _ROUNDING, 0.5 + _ROUNDING))
    return float((values[low] + values[min(high, len(values) - 1)]) / 2)


def _weight(scripts: Sequence[Sequence[TrainingRun]]) -> int:
    """How many runs a user's word is worth; runs of a public study, which has no user, all count."""
    runs = [run for mine in scripts for run in mine]
    total = sum(run.runs for run in runs)
    return min(total, RUNS_PER_USER_AND_SETTING) if runs[0].user else total


def _capped(typical: Sequence[TrainingRun]) -> list[TrainingRun]:
    """The settings without those by which one user would outnumber all others of a site.

    Settings that several users have measured, and those of public studies, always count. Where a site has one user
    only, there is nobody to outnumber.
    """
    by_user: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, run in enumerate(typical):
        by_user[run.setting.site][run.user].append(place)
    dropped: set[int] = set()
    for users in by_user.values():
        everybodys = sum(map(len, users.values()))
        for user, places in users.items():
            others = everybodys - len(places)
            most = max(SETTINGS_PER_USER, others)
            if user and others and len(places) > most:
                kept = random.Random(0).sample(places, most)  # noqa: S311 (a sample, not a secret)
                dropped.update(set(places).difference(kept))
    return [run for place, run in enumerate(typical) if place not in dropped]


def _log_spread(values: Sequence[float | None]) -> float | None:
    logs = [math.log(value) for value in values if value is not None]
    return float(np.std(logs, ddof=1)) if len(logs) >= _REPEATS_FOR_A_SPREAD else None


def _robust_mean(values: Array, weights: Array) -> float:
    """The weighted mean of the values within four of their own spreads around the median."""
    if len(values) < _FEWEST_WITH_A_MIDDLE:
        return float(np.average(values, weights=weights))
    middle = _weighted_median(list(zip(values, weights, strict=True)))
    apart = np.abs(values - middle)
    spread = 1.48 * _weighted_median(list(zip(apart, weights, strict=True)))
    near = apart <= 4 * spread + 1e-12 * middle
    return float(np.average(values[near], weights=weights[near]))
