"""Prints the figures of comparing placements: ``python -m tests.bench.ranking [DATA] [--only STUDY ...]``.

Workloads that ran on several GPUs (or numbers of GPUs) of one study are ranked by models that have seen nothing of the
study, a few runs on each of its GPUs, or everything but the network. Beside every figure of a first choice stand rules
that need no prediction: one GPU always (the best one with hindsight), the fastest by data sheet, the newest.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from advisor.inventory.catalogue import load_catalogue
from advisor.prediction.comparison import Joint, joint_of_rows
from advisor.prediction.features import Array
from advisor.prediction.model import PredictionModel
from advisor.prediction.prediction import ModelIdentity
from advisor.prediction.predictor import forecast
from advisor.recommendation.choice import TIE_BREAK
from advisor.training.calibration import calibrated
from advisor.training.fit import fit
from advisor.training.pairs import workload_labels
from advisor.training.prior_data import read_prior
from advisor.training.runs import TrainingRun, aggregate

# Of one laboratory's studies, all are withheld together.
SAME_LABORATORY = {"gaissa": {"delrey2024", "gaissa"}, "delrey2024": {"delrey2024", "gaissa"}}
IDENTITY = ModelIdentity(name="benchmark", version="0", trained_on_runs=0, promoted_at="")
REPOSITORY = Path(__file__).resolve().parents[2]
APART = np.log(1.25)  # of pairs that differ by less, nobody minds which is taken
_BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0001)
_DRAWS = 5
_FOLDS = 5
_RUNS = 3
_EPOCH_SAMPLES = 1e5


@dataclass(frozen=True, slots=True)
class Task:
    """One workload in several places: what each cost, in the measure that the study has of all of them."""

    name: str
    network: str
    runs: tuple[TrainingRun, ...]
    measure: str
    cost: Array


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one task was ranked. Pairs are of all placements: logarithms of ratios, first by prediction."""

    task: Task
    chosen: int
    least: Array
    truth: Array
    low: Array
    high: Array

    @property
    def regret(self) -> float:
        """What the first choice cost beyond the best, as a share."""
        return float(self.task.cost[self.chosen] / self.task.cost.min() - 1)


def tasks_of(runs: Sequence[TrainingRun]) -> list[Task]:
    """The workloads of one study that were measured in several places: energy where all places have it, else time."""
    groups: dict[str, list[TrainingRun]] = defaultdict(list)
    for run, label in zip(runs, workload_labels(tuple(run.setting for run in runs)).tolist(), strict=True):
        if run.epoch_duration_s:
            groups[label].append(run)
    tasks: list[Task] = []
    for label, group in groups.items():
        places: dict[tuple[str, int], TrainingRun] = {}
        for run in group:
            places.setdefault((run.setting.gpu.name, run.setting.gpus), run)
        mine = tuple(places.values())
        energies = [run.epoch_energy_j for run in mine]
        by_energy = [run for run, energy in zip(mine, energies, strict=True) if energy]
        if len(by_energy) > 1:
            cost = np.array([(run.epoch_energy_j or np.nan) * run.setting.gpus for run in by_energy])
            tasks.append(Task(label, mine[0].setting.network, tuple(by_energy), "energy", cost))
        elif len(mine) > 1:
            cost = np.array([run.epoch_duration_s or np.nan for run in mine])
            tasks.append(Task(label, mine[0].setting.network, mine, "time", cost))
    return tasks


def play(model: PredictionModel, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Rank every task with a model."""
    for task in tasks:
        joint = joint_of_task(model, task)
        aim = joint.energy() if task.measure == "energy" else joint.aim(joint.log_time_s, 1.0, 0.0, measure="time")
        choosing = aim
        if task.measure == "energy":
            choosing = joint.aim(aim.log_value + TIE_BREAK * joint.log_time_s, 1.0 + TIE_BREAK, 1.0)
        everyone = range(len(task.runs))
        chosen = int(joint.contest(choosing, everyone).regret.argmin())
        truth, low, high = [], [], []
        for first in everyone:
            beside = joint.over(aim, first)
            for other in range(first + 1, len(task.runs)):
                truth.append(np.log(task.cost[other] / task.cost[first]))
                low.append(np.log(beside[other].low))
                high.append(np.log(beside[other].high))
        yield Outcome(task, chosen, joint.contest(aim, everyone).least, np.array(truth), np.array(low), np.array(high))


def joint_of_task(model: PredictionModel, task: Task) -> Joint:
    """The predictions of a task's places."""
    everyone = range(len(task.runs))
    return joint_of_rows(model, forecast(model, [run.setting for run in task.runs]), everyone, everyone)


def show(name: str, outcomes: Sequence[Outcome]) -> None:
    """One line of figures for the first choice, one for pairs, one for probabilities."""
    if not outcomes:
        return
    tasks = [outcome.task for outcome in outcomes]
    regrets = _by_network(tasks, [outcome.regret for outcome in outcomes])
    right = _by_network(tasks, [float(outcome.regret < 1e-9) for outcome in outcomes])
    rules = "; ".join(f"{rule} {regret:.1%}" for rule, regret in _rules(tasks))
    worst = max(outcome.regret for outcome in outcomes)
    print(f"| {name} | {tasks[0].measure} | {len(tasks)} tasks of {len({t.network for t in tasks})} networks "
          f"| regret {regrets:.1%} (worst {worst:.0%}), right {right:.0%} | {rules} |", flush=True)  # fmt: skip
    truth, low, high = (np.concatenate([getattr(o, key) for o in outcomes]) for key in ("truth", "low", "high"))
    differ = np.abs(truth) >= APART
    told = (low > 0) | (high < 0)
    correct = np.where(low > 0, truth > 0, truth < 0)
    covered, width = np.mean((low <= truth) & (truth <= high)), np.exp(np.median(high - low) / 2)
    print(f"|   pairs | {len(truth)}, {differ.sum()} differ by 25% | told apart {np.mean(told[differ]):.0%} of these "
          f"| of all told apart, right {np.mean(correct[told]) if told.any() else np.nan:.0%} "
          f"| 90% interval covers {covered:.0%}, x/{width:.2f} |", flush=True)  # fmt: skip
    _show_probabilities(outcomes)


def _show_probabilities(outcomes: Sequence[Outcome]) -> None:
    least = np.concatenate([outcome.least for outcome in outcomes])
    was = np.concatenate([outcome.task.cost == outcome.task.cost.min() for outcome in outcomes])
    bins = []
    for low, high in itertools.pairwise(_BINS):
        inside = (least >= low) & (least < high)
        if inside.any():
            bins.append(f"{least[inside].mean():.0%} said, {was[inside].mean():.0%} true ({inside.sum()})")
    fixed = min(
        float(
            np.mean(np.concatenate([(_places(o.task) == gpu) ^ (o.task.cost == o.task.cost.min()) for o in outcomes]))
        )
        for gpu in {place for outcome in outcomes for place in _places(outcome.task)}
    )
    print(f"|   probability_least | Brier {np.mean((least - was) ** 2):.3f}, best fixed rule {fixed:.3f} "
          f"| {'; '.join(bins)} |", flush=True)  # fmt: skip


def show_all(split: str, of_studies: Sequence[Sequence[Outcome]]) -> None:
    """The studies together, each weighing the same."""
    figures, least, was, weights = [], [], [], []
    for outcomes in of_studies:
        truth, low, high = (np.concatenate([getattr(o, key) for o in outcomes]) for key in ("truth", "low", "high"))
        told, correct = (low > 0) | (high < 0), np.where(low > 0, truth > 0, truth < 0)
        figures.append([
            np.mean(told[np.abs(truth) >= APART]), np.mean(correct[told]) if told.any() else np.nan,
            np.mean((low <= truth) & (truth <= high)), np.exp(np.median(high - low) / 2),
            _by_network([o.task for o in outcomes], [o.regret for o in outcomes]),
        ])  # fmt: skip
        for outcome in outcomes:
            least.append(outcome.least)
            was.append(outcome.task.cost == outcome.task.cost.min())
            weights.append(np.full(len(outcome.least), 1.0 / len(outcomes)))
    told_apart, right, covered, width, regret = np.nanmean(np.array(figures), axis=0)
    print(f"all {len(of_studies)} studies, {split}: told apart {told_apart:.0%} of pairs that differ by 25%, right "
          f"{right:.0%}, covers {covered:.0%}, x/{width:.2f}, regret {regret:.1%}", flush=True)  # fmt: skip
    said, true, weight = (np.concatenate(parts) for parts in (least, was, weights))
    for low_end, high_end in itertools.pairwise(_BINS):
        inside = (said >= low_end) & (said < high_end)
        if inside.any():
            mean_said, mean_true = (np.average(values[inside], weights=weight[inside]) for values in (said, true))
            print(f"  {mean_said:.0%} said, {mean_true:.0%} true ({inside.sum()})", flush=True)


def _by_network(tasks: Sequence[Task], values: Sequence[float]) -> float:
    """The mean over networks of the mean over their tasks (batch sizes, precisions)."""
    groups: dict[str, list[float]] = defaultdict(list)
    for task, value in zip(tasks, values, strict=True):
        groups[task.network].append(value)
    return float(np.mean([np.mean(group) for group in groups.values()]))


def _places(task: Task) -> Array:
    return np.array([f"{run.setting.gpus} x {run.setting.gpu.name}" for run in task.runs])


def _rules(tasks: Sequence[Task]) -> Iterator[tuple[str, float]]:
    """What rules without a prediction lose, over tasks that have the place that they name."""

    def lost(choose: Callable[[Task], int]) -> float:
        return _by_network(tasks, [float(task.cost[choose(task)] / task.cost.min() - 1) for task in tasks])

    def always(place: str, task: Task) -> int:
        found = np.flatnonzero(_places(task) == place)
        return int(found[0]) if len(found) else int(np.argmin([run.setting.gpu.tdp_w for run in task.runs]))

    places = sorted({place for task in tasks for place in _places(task)})
    best = min(places, key=lambda place: lost(lambda task: always(place, task)))
    yield f"{best} always", lost(lambda task: always(best, task))
    yield (
        "the fastest",
        lost(lambda task: int(np.argmax([run.setting.gpu.fp32 * run.setting.gpus for run in task.runs]))),
    )
    years = {entry.gpu.name: entry.gpu.launch_year or 0 for entry in load_catalogue().entries}
    yield "the newest", lost(lambda task: int(np.argmax([years.get(run.setting.gpu.name, 0) for run in task.runs])))


def as_epoch(run: TrainingRun) -> TrainingRun:
    """A run of which only a step was timed as one epoch over a fixed number of samples, so that places compare."""
    if run.epoch_duration_s or not run.step_duration_s:
        return run
    s = run.setting
    setting = replace(s, train_samples=_EPOCH_SAMPLES, validation_samples=0.0)
    duration_s = run.step_duration_s * _EPOCH_SAMPLES / (s.batch_size * s.gpus)
    return replace(run, setting=setting, epoch_duration_s=duration_s, step_duration_s=None)


def without_laboratory(runs: Sequence[TrainingRun], study: str) -> list[TrainingRun]:
    """What a model may know that is to predict for a study as for a new site."""
    return [run for run in runs if run.setting.study not in SAME_LABORATORY.get(study, {study})]


def before_any_run(runs: Sequence[TrainingRun], study: str, tasks: Sequence[Task]) -> list[Outcome]:
    """The whole study withheld."""
    model = fit(without_laboratory(runs, study), IDENTITY)
    outcomes = list(play(model, tasks))
    show(f"{study}, before any run", outcomes)
    return outcomes


def after_few_runs(runs: Sequence[TrainingRun], study: str, tasks: Sequence[Task]) -> list[Outcome]:
    """The study withheld but three runs on each of its machines, of workloads that are not ranked then; five draws."""
    model = fit(without_laboratory(runs, study), IDENTITY)
    mine = [run for run in runs if run.setting.study == study]
    outcomes: list[Outcome] = []
    for draw in range(_DRAWS):
        chooser = random.Random(draw)  # noqa: S311 (a sample, not a secret)
        added: list[TrainingRun] = []
        for site in sorted({run.setting.site for run in mine}):
            here = [run for run in mine if run.setting.site == site]
            added += chooser.sample(here, min(_RUNS, len(here)))
        known = {run.setting.network for run in added}
        outcomes += play(calibrated(model, added), [task for task in tasks if task.network not in known])
    show(f"{study}, after {_RUNS} runs on each machine", outcomes)
    return outcomes


def networks_withheld(runs: Sequence[TrainingRun], study: str, tasks: Sequence[Task]) -> list[Outcome]:
    """Each network withheld from all studies, in five folds; its machines are known."""
    names = sorted({task.network for task in tasks})
    random.Random(0).shuffle(names)  # noqa: S311
    outcomes: list[Outcome] = []
    for k in range(_FOLDS):
        fold = set(names[k::_FOLDS])
        model = fit([run for run in runs if run.setting.network not in fold], IDENTITY)
        outcomes += play(model, [task for task in tasks if task.network in fold])
    show(f"{study}, network withheld", outcomes)
    return outcomes


def main() -> None:
    """Every study with workloads in several places, or those that are named."""
    parser = argparse.ArgumentParser(description="Print the figures of comparing placements.")
    parser.add_argument("data_dir", type=Path, nargs="?", default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--splits", nargs="*", default=["before", "few", "network"])
    arguments = parser.parse_args()
    runs = [as_epoch(run) for run in aggregate(read_prior(arguments.data_dir))]
    splits = {"before": before_any_run, "few": after_few_runs, "network": networks_withheld}
    found: dict[str, list[list[Outcome]]] = defaultdict(list)
    for study in sorted({run.setting.study for run in runs}):
        tasks = tasks_of([run for run in runs if run.setting.study == study])
        if tasks and (not arguments.only or study in arguments.only):
            for name in arguments.splits:
                found[name].append(splits[name](runs, study, tasks))
    for name, of_studies in found.items():
        show_all(name, [outcomes for outcomes in of_studies if outcomes])


if __name__ == "__main__":
    main()
