"""Whole sources withheld, judged as a new site: ``python tests/bench/prediction_sources.py [DATA] [--only PART]``.

Each study, and each GPU with all its studies, is withheld before anything is fitted, and predicted as a place that
nobody knows. Errors are by task: the batch sizes of a network on a GPU in a precision are averaged first. The first
choice among the GPUs of a workload is set beside rules that need no model.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from advisor.prediction.prediction import ModelIdentity
from advisor.training.evaluation import Judged, judge
from advisor.training.fit import fit
from advisor.training.prior_data import read_prior
from advisor.training.runs import TrainingRun, aggregate

IDENTITY = ModelIdentity(name="benchmark", version="0", trained_on_runs=0, promoted_at="")
MEASURES = ("power", "time", "energy")
MOST = 400  # settings of one study that are judged
SAME_LABORATORY = {"gaissa": {"delrey2024", "gaissa"}, "delrey2024": {"delrey2024", "gaissa"}}


def as_new(run: TrainingRun) -> TrainingRun:
    """The run as if it came from a site that nobody knows."""
    return replace(run, setting=replace(run.setting, study="", site=""))


def task(run: TrainingRun) -> tuple[object, ...]:
    """A network on a GPU in a precision, whatever the batch."""
    s = run.setting
    return s.study, s.network, s.gpu.name, s.gpus, s.precision, s.framework


def by_task(runs: Sequence[TrainingRun], judged: Judged) -> str:
    """Errors and coverage of one quantity."""
    there = np.flatnonzero(np.isfinite(judged.measured))
    if not len(there):
        return ""
    error = np.abs(judged.predicted / judged.measured - 1)
    inside = (judged.low <= judged.measured) & (judged.measured <= judged.high)
    tasks: dict[object, list[int]] = defaultdict(list)
    for i in there.tolist():
        tasks[task(runs[i])].append(i)
    errors = np.array([error[mine].mean() for mine in tasks.values()])
    covers = np.mean([inside[mine].mean() for mine in tasks.values()])
    half = np.median(np.sqrt(judged.high[there] / judged.low[there]))
    bias = np.median(np.log(judged.predicted[there] / judged.measured[there]))
    return f"{errors.mean():5.0%} median {np.median(errors):4.0%} bias {bias:+.2f} covers {covers:4.0%} x/{half:.2f}"


def show(name: str, runs: Sequence[TrainingRun], judged: dict[str, Judged]) -> None:
    """One line for each quantity."""
    for measure in MEASURES:
        line = by_task(runs, judged[measure])
        if line:
            print(f"| {name} | {measure} | {line} | {len(runs)} settings |", flush=True)


def studies(runs: Sequence[TrainingRun]) -> dict[str, tuple[list[TrainingRun], dict[str, Judged]]]:
    """Each study withheld; what was predicted of it."""
    found = {}
    for study in sorted({run.setting.study for run in runs}):
        out = SAME_LABORATORY.get(study, {study})
        mine = [run for run in runs if run.setting.study == study and (run.mean_power_w or run.step_duration_s)]
        if not mine:
            continue
        chooser = np.random.default_rng(0)
        if len(mine) > MOST and study != "ryujaehun":
            mine = [mine[i] for i in chooser.choice(len(mine), MOST, replace=False)]
        model = fit([run for run in runs if run.setting.study not in out], IDENTITY)
        judged = judge(model, [as_new(run) for run in mine])
        show(f"study {study}", mine, judged)
        found[study] = mine, judged
    return found


def boards(runs: Sequence[TrainingRun]) -> None:
    """Each GPU withheld with all its studies' rows."""
    for gpu in sorted({run.setting.gpu.name for run in runs}):
        if "MIG" in gpu:
            continue
        mine = [run for run in runs if run.setting.gpu.name == gpu and (run.mean_power_w or run.step_duration_s)]
        if len(mine) > MOST:
            mine = [mine[i] for i in np.random.default_rng(0).choice(len(mine), MOST, replace=False)]
        model = fit([run for run in runs if not run.setting.gpu.name.startswith(gpu)], IDENTITY)
        show(f"GPU {gpu}", mine, judge(model, [as_new(run) for run in mine]))


def regrets(found: dict[str, tuple[list[TrainingRun], dict[str, Judged]]]) -> None:
    """By task and study: what the first choice loses in the median batch, and what one fixed GPU or rule would lose."""
    for study, (runs, judged) in found.items():
        for measure in ("energy", "time"):
            part = judged[measure]
            groups: dict[object, dict[str, tuple[float, float, TrainingRun]]] = defaultdict(dict)
            for i, run in enumerate(runs):
                if np.isfinite(part.measured[i]):
                    s = run.setting
                    key = (s.network, s.framework, s.batch_size, s.precision, s.gpus, s.forward_flops, s.train_samples)
                    groups[key][s.gpu.name] = part.predicted[i], part.measured[i], run
            several = [group for group in groups.values() if len(group) > 1]
            if several:
                print(f"| regret {study} | {measure} | {chosen(several)} | {len(several)} workloads |", flush=True)


def chosen(groups: Sequence[dict[str, tuple[float, float, TrainingRun]]]) -> str:
    """Loss of the first choice and of the rules, mean, over workloads."""

    def loss(choose: Callable[[dict[str, tuple[float, float, TrainingRun]]], str]) -> tuple[float, float]:
        lost = [group[choose(group)][1] / min(m for _, m, _ in group.values()) - 1 for group in groups]
        return float(np.mean(lost)), float(np.mean(np.array(lost) == 0))

    def fixed(name: str) -> Callable[[dict[str, tuple[float, float, TrainingRun]]], str]:
        return lambda group: name if name in group else min(group)

    ours = loss(lambda group: min(group, key=lambda name: group[name][0]))
    names = sorted({name for group in groups for name in group})
    best = min((loss(fixed(name)), name) for name in names)
    fastest = loss(lambda group: max(group, key=lambda name: group[name][2].setting.gpu.fp32))
    random = float(
        np.mean([np.mean([m for _, m, _ in g.values()]) / min(m for _, m, _ in g.values()) - 1 for g in groups])
    )
    return (
        f"ours {ours[0]:.1%} right {ours[1]:.0%} | always {best[1]} {best[0][0]:.1%} | highest rate {fastest[0]:.1%}"
        f" | any {random:.1%}"
    )


def main() -> None:
    """Run the named parts, or all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "data_dir", type=Path, nargs="?", default=Path(__file__).resolve().parents[3] / "shared" / "data"
    )
    parser.add_argument("--only", nargs="*", default=[], choices=["studies", "gpus"])
    arguments = parser.parse_args()
    runs = aggregate(read_prior(arguments.data_dir))
    started = time.perf_counter()
    if not arguments.only or "studies" in arguments.only:
        regrets(studies(runs))
    if not arguments.only or "gpus" in arguments.only:
        boards(runs)
    print(f"({time.perf_counter() - started:.0f} s)")


if __name__ == "__main__":
    main()
