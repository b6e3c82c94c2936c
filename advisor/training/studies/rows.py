"""What the studies' readers share: rows of CSV, GPUs by the studies' names, settings of counted networks."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from advisor.inventory.catalogue import load_catalogue
from advisor.prediction.board import GpuNumbers, gpu_numbers
from advisor.prediction.features import Setting, dense_parameters, is_recurrent, network_key
from advisor.prediction.mix import Mix, mix_of
from advisor.training.transformers import Transformer

Row = dict[str, str]

_FACTS = Path(__file__).parents[1] / "network_facts.csv"
# The studies' names for GPUs, where they are not the catalogue's.
_GPU_NAMES = {
    "NVIDIA Quadro RTX 6000": "Quadro RTX 6000",
    "GeForce RTX 2080 Ti": "NVIDIA GeForce RTX 2080 Ti",
    "TITAN Xp": "NVIDIA TITAN Xp",
    "TITAN RTX": "NVIDIA TITAN RTX",
    "A100-SXM4-40GB": "NVIDIA A100-SXM4-40GB",
    "NVIDIA GeForce RTX 3090 (inferred from 25.435 GB total_memory)": "NVIDIA GeForce RTX 3090",
    # Never above 248 W, and 36 W in its smallest training: the 250 W board.
    "NVIDIA A100 40GB (form not stated)": "NVIDIA A100-PCIE-40GB",
    "Tesla V100-SXM3-32GB": "Tesla V100-SXM2-32GB",
    "RTX 3090 Ti": "NVIDIA GeForce RTX 3090 Ti",
    "RTX 4090": "NVIDIA GeForce RTX 4090",
    "A100 80GB": "NVIDIA A100-SXM4-80GB",
    "RTX A6000": "NVIDIA RTX A6000",
    "V100 32GB": "Tesla V100-SXM2-32GB",
    "NVIDIA A800 SXM4 80GB": "NVIDIA A100-SXM4-80GB",
    "NVIDIA H800": "NVIDIA H100 80GB HBM3",
}


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def number(text: str | None) -> float | None:
    """A number, None where the field is empty."""
    return float(text) if text else None


@cache
def gpu_of(name: str, mig: str = "") -> GpuNumbers:
    """A GPU, or one MIG slice of it."""
    full = _GPU_NAMES.get(name, name)
    return gpu_numbers(load_catalogue().identify(f"{full} MIG {mig}" if mig else full))[0]


@cache
def network_facts() -> dict[tuple[str, str, str, int], Row]:
    """The counted networks, by study, framework, name and input size."""
    return {
        (row["study"], row["framework"], network_key(row["network"]), int(row["input_size"])): row
        for row in rows_of(_FACTS)
    }


def image_setting(  # noqa: PLR0917
    study: str, framework: str, network: str, side: int, gpu: str, batch_size: float, gpus: int = 1,
    samples: tuple[float, float] = (1.0, 0.0), facts: Row | None = None, precision: str = "float32",
    forward_flops: float | None = None, synthetic: bool = False, memory_gb: float = 0.0, site: str = "", mig: str = "",
    mix: Mix | None = None,
) -> Setting | None:  # fmt: skip
    """One image network of a study; None where it was not counted."""
    key = network_key(network)
    family = study.split(":", maxsplit=1)[0]
    facts = (
        facts
        or network_facts().get((study, framework, key, side))
        or network_facts().get((family, framework, key, side))
    )
    if facts is None:
        return None
    parameters = float(facts["parameters"])
    share = float(facts["trainable_parameters"]) / parameters
    forward = forward_flops or float(facts["forward_flops"])
    return Setting(
        framework=framework, network=key, parameters=parameters, trainable_share=share, forward_flops=forward,
        training_flops=forward * (3.0 if share > 0.5 else 1.0 + 2.0 * share), layers=float(facts["layers"]),  # noqa: PLR2004
        activation_elements=float(facts["activation_elements"]), input_elements=3.0 * side * side, kind="image",
        mix=mix or mix_of("image", key, float(facts["activation_elements"]) / forward), dense_parameters=parameters,
        precision=precision, batch_size=batch_size, gpus=gpus, nodes=1, train_samples=samples[0],
        validation_samples=samples[1], gpu=gpu_of(gpu, mig), allocated_memory_bytes=memory_gb * 1e9,
        input_side=float(side), site=f"{family}/{site or gpu}", study=family, synthetic_input=synthetic,
        saved_bytes=float(facts.get("saved_bytes_per_sample") or 0),
    )  # fmt: skip


def other_setting(  # noqa: PLR0917
    study: str, framework: str, network: str, counted: Transformer, kind: str, elements: float, gpu: str,
    batch_size: float, precision: str, *, gpus: int = 1, nodes: int = 1, passes: float = 3.0, site: str = "",
    samples: float = 1.0, synthetic: bool = True, mig: str = "", **more: Any,
) -> Setting:  # fmt: skip
    """One network of a study that does not see images; ``elements`` are those of one sample (tokens, features)."""
    key = network_key(network)
    setting = Setting(
        framework=framework, network=key, parameters=float(counted.parameters), trainable_share=1.0,
        forward_flops=float(counted.forward_flops), training_flops=passes * counted.forward_flops,
        layers=float(counted.layers),
        activation_elements=float(counted.activation_elements), input_elements=float(elements), kind=kind,
        mix=mix_of(kind, key), recurrent_steps=float(elements) if is_recurrent(key) else 0.0,
        dense_parameters=dense_parameters(kind, float(counted.parameters), counted.forward_flops), precision=precision,
        batch_size=batch_size, gpus=gpus, nodes=nodes, train_samples=samples, validation_samples=0.0,
        gpu=gpu_of(gpu, mig), input_side=float(elements), site=f"{study}/{site or gpu}", study=study,
        synthetic_input=synthetic,
    )  # fmt: skip
    return replace(setting, **more)
