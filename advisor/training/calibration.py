"""Learning from few runs: measured runs of a partition added to a model's processes, with nothing refitted.

The processes hold how far effects of a machine, a GPU or a network usually reach, so one run pulls its partition as far
as one run should: the shrinkage towards the prior is the process's own arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from advisor.prediction.model import PredictionModel
from advisor.prediction.predictor import with_runs
from advisor.training.runs import TrainingRun, aggregate

# More settings than this say no more about a partition's effects, and every one costs at each prediction.
MOST_SETTINGS = 200


def calibrated(model: PredictionModel, runs: Sequence[TrainingRun]) -> PredictionModel:
    """The model with these runs of the site's partitions added; the model itself when none can be learned from."""
    mine = [run for run in aggregate(runs) if run.mean_power_w or run.epoch_duration_s]
    if not mine:
        return model
    mine = sorted(mine, key=lambda run: -run.runs)[:MOST_SETTINGS]
    return with_runs(
        model,
        [run.setting for run in mine],
        log_time_s=np.log([run.epoch_duration_s or np.nan for run in mine]),
        power_w=np.array([run.mean_power_w or np.nan for run in mine]),
        runs=np.array([float(run.runs) for run in mine]),
        log_memory=np.log([run.gpu_memory_bytes or np.nan for run in mine]),
    )
