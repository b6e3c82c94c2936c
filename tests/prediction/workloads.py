"""Workloads and placements that several tests use."""

from __future__ import annotations

from typing import Any

from advisor.inspection.workload import Fact, Source, Workload
from advisor.inventory.catalogue import load_catalogue
from advisor.inventory.model import GpuModel
from advisor.placement.placement import Placement

RESNET50: dict[str, Any] = {
    "framework": "keras",
    "model_name": "ResNet50",
    "parameters": 25_600_000,
    "trainable_parameters": 25_600_000,
    "forward_flops_per_sample": 7.7e9,
    "layers": 175,
    "activation_elements": 22_000_000,
    "input_shape": (224, 224, 3),
    "batch_size": 64,
    "train_samples": 50_000,
    "validation_samples": 10_000,
    "epochs": 10,
    "precision": "float32",
}


def workload(**facts: Any) -> Workload:
    """A workload of these facts, each as if given on the command line."""
    known: dict[str, Any] = {name: Fact(value, Source.OPTION) for name, value in facts.items()}
    return Workload(**known)


def gpu(name: str) -> GpuModel:
    """A GPU of the catalogue."""
    return load_catalogue().identify(name)


def placement(gpu_model: GpuModel, *, gpus: int = 1, memory_gib: int = 32, partition: str = "p") -> Placement:
    """A placement on one node."""
    return Placement(
        partition=partition, gres_type=None, gpu=gpu_model, gpus=gpus, nodes=1, memory_bytes=memory_gib * 2**30, cpus=8,
        max_time_s=None,
    )  # fmt: skip
