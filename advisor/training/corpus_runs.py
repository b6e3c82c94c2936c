"""Corpus rows as training runs: which of them can be learned from, and how their totals become one GPU's values."""

from __future__ import annotations

from collections.abc import Iterable

from advisor.corpus.run import GPU_ENERGY_SOURCES, Run
from advisor.errors import ImplausibleWorkload
from advisor.inventory.catalogue import Catalogue
from advisor.inventory.model import GpuModel
from advisor.placement.placement import Placement
from advisor.prediction.features import setting_of
from advisor.prediction.predictor import site_name
from advisor.training.runs import TrainingRun, usable


def training_runs(runs: Iterable[Run], catalogue: Catalogue) -> tuple[list[TrainingRun], list[str]]:
    """The runs that can be learned from, and one line for each that was left out and why."""
    kept, left_out = [], []
    for run in runs:
        found, reason = _training_run(run, catalogue)
        if found is None:
            left_out.append(f"{run.job_id}.{run.restart}: {reason}")
        else:
            kept.append(found)
    return kept, left_out


def _training_run(run: Run, catalogue: Catalogue) -> tuple[TrainingRun | None, str]:
    if run.gpu_model is None or run.gpus < 1:
        return None, "no GPU"
    if run.energy_source not in GPU_ENERGY_SOURCES:
        return None, f"its energy is not of the GPUs ({run.energy_source})"
    if run.quality == "damaged":
        return None, "its trace is damaged"
    gpu = catalogue.identify(run.gpu_model)
    try:
        setting = setting_of(run.workload, placement_of(run, gpu), site_name(run.partition or "local", gpu.name))
    except ImplausibleWorkload as problem:
        return None, str(problem)
    unknown = {"batch_size", "train_samples"} & set(setting.unknown)
    found = TrainingRun(
        setting=setting,
        mean_power_w=run.mean_power_w / run.gpus if run.mean_power_w else None,
        # Without these two the time of an epoch says nothing about the time of a step.
        epoch_duration_s=None if unknown else run.epoch_duration_s,
        gpu_utilisation=run.gpu_utilisation or None,
        gpu_memory_bytes=float(run.gpu_memory_bytes) if run.gpu_memory_bytes else None,
        host_memory_bytes=float(run.host_memory_bytes) if run.host_memory_bytes else None,
        user=run.user,
        script_hash=run.script_sha256 or "",
        ended_at=run.started_at + run.duration_s,
    )
    return (found, "") if usable(found) else (None, "a value is missing, not finite, or above what the GPU can draw")


def placement_of(run: Run, gpu: GpuModel) -> Placement:
    """Where a run took place, as far as the corpus knows."""
    return Placement(
        partition=run.partition or "local", gres_type=None, gpu=gpu, gpus=run.gpus, nodes=run.nodes,
        memory_bytes=run.memory_bytes or 0, cpus=run.cpus or 1, max_time_s=None,
    )  # fmt: skip
