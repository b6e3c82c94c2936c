"""Predictions to build recommendations from, with only what a test cares about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from advisor.inventory.model import GpuModel
from advisor.placement.placement import Placement
from advisor.prediction.comparison import NORMAL_90, Joint
from advisor.prediction.model import PAIR_KINDS, PAIR_MEASURES
from advisor.prediction.prediction import Estimate, ModelIdentity, Prediction
from advisor.units import GIB

MODEL = ModelIdentity(name="prior", version="1", trained_on_runs=857, promoted_at="2026-01-01T00:00:00+00:00")


def around(value: float, spread: float = 1.25) -> Estimate:
    """An estimate with an interval of a factor on both sides."""
    return Estimate(value, value / spread, value * spread)


def placement(
    partition: str = "ampere",
    gpu: str = "NVIDIA A100",
    *,
    gres_type: str | None = "a100",
    gpu_memory_bytes: int | None = 80 * GIB,
    memory_bytes: int = 16 * GIB,
    max_time_s: float | None = None,
    gpus: int = 1,
    nodes: int = 1,
    cpus: int = 8,
) -> Placement:
    """One placement."""
    return Placement(
        partition=partition,
        gres_type=gres_type,
        gpu=GpuModel(name=gpu, memory_bytes=gpu_memory_bytes),
        gpus=gpus,
        nodes=nodes,
        memory_bytes=memory_bytes,
        cpus=cpus,
        max_time_s=max_time_s,
    )


def prediction(
    where: Placement,
    *,
    energy_j: float = 1e6,
    duration_s: float = 3600.0,
    epochs: int | None = 10,
    host_memory_bytes: float | None = 8 * GIB,
    gpu_memory_bytes: float | None = 4 * GIB,
    utilisation: float | None = 0.7,
) -> Prediction:
    """A prediction for it; without ``epochs`` only the epoch's figures are known."""
    parts = epochs or 10
    return Prediction(
        placement=where,
        mean_power_w=around(energy_j / duration_s),
        epoch_energy_j=around(energy_j / parts),
        epoch_duration_s=around(duration_s / parts),
        energy_j=around(energy_j) if epochs else None,
        duration_s=around(duration_s) if epochs else None,
        gpu_memory_bytes=None if gpu_memory_bytes is None else around(gpu_memory_bytes),
        host_memory_bytes=None if host_memory_bytes is None else around(host_memory_bytes),
        gpu_utilisation=None if utilisation is None else around(utilisation),
        method="test",
        confidence="medium",
        reason="made up",
    )


def joint(predictions: Sequence[Prediction], *, shared_std: float = 0.0, std: float | None = None) -> Joint:
    """What these predictions have in common: nothing, or one cause that moves the time of all by ``shared_std``.

    What each has for itself is in its power, as wide as its energy's interval says, or ``std``.
    """
    rows = np.arange(len(predictions))
    energies = [prediction.energy_j or prediction.epoch_energy_j for prediction in predictions]
    times = [(prediction.duration_s or prediction.epoch_duration_s).value for prediction in predictions]
    log_time_s = np.log(np.array(times, dtype=np.float64))
    own = [float(np.log(energy.high / energy.low)) / 2 / NORMAL_90 if std is None else std for energy in energies]
    return Joint(
        rows=rows,
        same=rows,
        log_time_s=log_time_s,
        log_power_w=np.log(np.array([energy.value for energy in energies], dtype=np.float64)) - log_time_s,
        time=np.zeros((len(rows), len(rows))),
        power=np.diag(np.square(own)),
        shared_time=np.full((1, len(rows)), shared_std),
        shared_power=np.zeros((1, len(rows))),
        apart=np.zeros((2, len(rows))),
        novelty=np.zeros(len(rows), dtype=np.int64),
        widths=np.full((len(PAIR_MEASURES), len(PAIR_KINDS)), NORMAL_90),
    )
