"""Learning from few runs: measured runs of a partition added to a model's processes, with nothing refitted.

The processes hold how far effects of a machine, a GPU or a network usually reach, so one run pulls its partition as far
as one run should: the shrinkage towards the prior is the process's own arithmetic.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from advisor.prediction import process
from advisor.prediction.model import PredictionModel
from advisor.prediction.predictor import with_runs
from advisor.training.fit import evenly
from advisor.training.runs import TrainingRun, aggregate

# More settings than this say no more about a partition's effects, and every one costs at each prediction.
MOST_SETTINGS = 200


def calibrated(model: PredictionModel, runs: Sequence[TrainingRun]) -> PredictionModel:
    """The model with these runs of the site's partitions added; the model itself when none can be learned from."""
    mine = chosen_for_calibration(aggregate(runs))
    if not mine:
        return model
    return with_runs(
        model,
        [run.setting for run in mine],
        log_time_s=np.log([run.epoch_duration_s or np.nan for run in mine]),
        power_w=np.array([run.mean_power_w or np.nan for run in mine]),
        runs=np.array([float(run.runs) for run in mine]),
        log_memory=np.log([run.gpu_memory_bytes or np.nan for run in mine]),
    )


def chosen_for_calibration(runs: Sequence[TrainingRun]) -> list[TrainingRun]:
    """The settings that are added: those with a power or a time, evenly from all sites where there are too many."""
    mine = [run for run in runs if run.mean_power_w or run.epoch_duration_s]
    return mine if len(mine) <= MOST_SETTINGS else evenly(mine, MOST_SETTINGS, random.Random(0))  # noqa: S311 (a sample)


def corpus_runs_in(model: PredictionModel, sites: Iterable[str]) -> int:
    """How many runs a model has from a corpus of these sites; a run may have given a time, a power, or both."""
    names = np.array(sorted(sites), dtype=np.str_)
    counts = [
        fitted.runs[(fitted.rows.study == process.HERE) & np.isin(fitted.rows.site, names)].sum()
        for fitted in (model.time, model.power)
    ]
    return int(max(counts))


def without_corpus(model: PredictionModel, sites: Iterable[str]) -> PredictionModel:
    """The model without what a corpus added of these sites; public studies stay, and the constants as they are."""
    names = np.array(sorted(sites), dtype=np.str_)

    def rest(fitted: process.Fitted) -> process.Fitted:
        added = (fitted.rows.study == process.HERE) & np.isin(fitted.rows.site, names)
        kept = np.flatnonzero(~added)
        if len(kept) == len(added):
            return fitted
        rows, residuals, runs = fitted.rows.take(kept), fitted.residuals[kept], fitted.runs[kept]
        return process.condition(fitted.hyper, rows, residuals, runs, fitted.pull)

    return replace(model, time=rest(model.time), power=rest(model.power), memory=rest(model.memory))
