"""Small sets of runs that several tests use: made of settings, so that no test needs the prior's data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from advisor.prediction.features import setting_of
from advisor.prediction.predictor import site_name
from advisor.training.runs import TrainingRun
from tests.prediction.workloads import RESNET50, gpu, placement, workload


def run(
    gpu_name: str = "a100", partition: str = "ampere", power_w: float = 200.0, epoch_s: float = 100.0, **facts: object
) -> TrainingRun:
    """One measured run of a ResNet50, or of what the facts say instead."""
    board = gpu(gpu_name)
    asked = placement(board, partition=partition)
    setting = setting_of(workload(**{**RESNET50, **facts}), asked, site_name(partition, board.name))
    return TrainingRun(setting=setting, mean_power_w=power_w, epoch_duration_s=epoch_s, user="u", script_hash="s")


def varied(count: int, gpu_name: str = "a100", factor: float = 1.0) -> Iterator[TrainingRun]:
    """Runs of several networks and batch sizes whose time follows their FLOPs, with a little noise."""
    rng = np.random.default_rng(0)
    for i in range(count):
        flops = 1e9 * (1 + i % 7)
        epoch_s = factor * (20 + 12 * flops / 1e9) * float(np.exp(rng.normal(0, 0.02)))
        yield run(
            gpu_name, power_w=150.0 + 10 * (i % 7), epoch_s=epoch_s, model_name=f"net{i % 7}",
            forward_flops_per_sample=flops, batch_size=32 * (1 + i % 3),
        )  # fmt: skip
