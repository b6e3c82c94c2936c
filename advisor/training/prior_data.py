"""Reads the public measurements that the prior is fitted from (../shared/data; not part of the project) into runs.

What a study does not say about its networks (parameters, FLOPs, activations, layers) we computed ourselves by building
them: network_facts.csv, and nasbench.py for the cells of EC-NAS-Bench.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from advisor.errors import ConfigurationError
from advisor.inventory.catalogue import load_catalogue
from advisor.prediction.features import GpuNumbers, Setting, gpu_numbers, is_depthwise, network_key
from advisor.training import nasbench
from advisor.training.bert import Bert, bert
from advisor.training.runs import TrainingRun

Row = dict[str, str]

FILES = {
    "delrey": "delrey2024_runs.csv",
    "raphischer": "raphischer_imagenet.csv",
    "ecnas": "ecnas_rtx6000.csv",
    "deepgreen": "deepgreen_l40s_pytorch.csv",
    "ryujaehun": "ryujaehun_step_time.csv",
    "pepr": "pepr_medimg.csv",
    "mayaki": "mayaki_transformer_steptime.csv",
}

# The studies' names for GPUs, where they are not the catalogue's.
_GPU_NAMES = {
    "NVIDIA Quadro RTX 6000": "Quadro RTX 6000",
    "GeForce RTX 2080 Ti": "NVIDIA GeForce RTX 2080 Ti",
    "TITAN Xp": "NVIDIA TITAN Xp",
    "TITAN RTX": "NVIDIA TITAN RTX",
    "A100-SXM4-40GB": "NVIDIA A100-SXM4-40GB",
    "NVIDIA GeForce RTX 3090 (inferred from 25.435 GB total_memory)": "NVIDIA GeForce RTX 3090",
}
_IMAGENET_VALIDATION = 50000
_EFFICIENTNET_SIDES = {"b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380}
_TORCH_EFFICIENTNET_SIDES = {"b0": 224, "b1": 240, "b2": 288, "b3": 300, "b4": 380}


def read_prior(folder: Path, studies: tuple[str, ...] = tuple(FILES)) -> list[TrainingRun]:
    """Read the named studies. A study whose file is not there is left out.

    Raises:
        ConfigurationError: the folder holds none of them.
    """
    runs: list[TrainingRun] = []
    for study in studies:
        path = folder / FILES[study]
        if path.is_file():
            runs.extend(_READERS[study](path))
    if not runs:
        raise ConfigurationError(f"No prior data in {folder}.", hint="Give the folder of the measured runs' CSV files.")
    return runs


def _rows(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def _number(text: str | None) -> float | None:
    return float(text) if text else None


@cache
def _gpu(name: str) -> GpuNumbers:
    return gpu_numbers(load_catalogue().identify(_GPU_NAMES.get(name, name)))[0]


@cache
def _facts() -> dict[tuple[str, str, str, int], Row]:
    path = Path(__file__).with_name("network_facts.csv")
    return {
        (row["study"], row["framework"], network_key(row["network"]), int(row["input_size"])): row
        for row in _rows(path)
    }


def _setting(  # noqa: PLR0917
    study: str, framework: str, network: str, side: int, gpu: str, batch_size: float, gpus: int = 1,
    samples: tuple[float, float] = (1.0, 0.0), facts: Row | None = None, precision: str = "float32",
    forward_flops: float | None = None, synthetic: bool = False, memory_gb: float = 0.0, site: str = "",
) -> Setting | None:  # fmt: skip
    key = network_key(network)
    family = study.split(":", maxsplit=1)[0]
    facts = facts or _facts().get((study, framework, key, side)) or _facts().get((family, framework, key, side))
    if facts is None:
        return None
    parameters = float(facts["parameters"])
    share = float(facts["trainable_parameters"]) / parameters
    forward = forward_flops or float(facts["forward_flops"])
    return Setting(
        framework=framework, network=key, parameters=parameters, trainable_share=share, forward_flops=forward,
        training_flops=forward * (3.0 if share > 0.5 else 1.0 + 2.0 * share), layers=float(facts["layers"]),  # noqa: PLR2004
        activation_elements=float(facts["activation_elements"]), input_elements=3.0 * side * side, sequence=False,
        depthwise=is_depthwise(key),
        precision=precision, batch_size=batch_size, gpus=gpus, nodes=1, train_samples=samples[0],
        validation_samples=samples[1], gpu=_gpu(gpu), allocated_memory_bytes=memory_gb * 1e9, input_side=float(side),
        site=f"{family}/{site or gpu}", study=family, synthetic_input=synthetic,
        saved_bytes=float(facts.get("saved_bytes_per_sample") or 0),
    )  # fmt: skip


def _delrey(path: Path) -> Iterator[TrainingRun]:
    for row in _rows(path):
        setting = _setting(
            f"delrey2024:{row['dataset']}", "tensorflow", row["network"], int(row["input_height"]), row["gpu"],
            float(row["batch_size"]), samples=(float(row["train_samples"]), float(row["validation_samples"])),
            memory_gb=float(row["allocated_ram_gb"]),
        )  # fmt: skip
        if setting is None:
            continue
        power_w = float(row["mean_power_w"])
        yield TrainingRun(
            setting=setting,
            mean_power_w=power_w,
            # Not published; the study's epoch energy is mean power times duration but for the host RAM's part.
            epoch_duration_s=1000 * float(row["mean_epoch_energy_kj"]) / power_w,
            stable_epoch_energy_j=1000 * float(row["mean_stable_epoch_energy_kj"]),
        )


def _raphischer(path: Path) -> Iterator[TrainingRun]:
    for row in _rows(path):
        net, torch = network_key(row["network"]), row["framework"] == "pytorch"
        sides = _TORCH_EFFICIENTNET_SIDES if torch else _EFFICIENTNET_SIDES
        side = sides.get(net[-2:], 224) if "efficientnet" in net else 224
        side = 299 if net in {"xception", "inceptionresnetv2"} else side
        gpus = int(row["gpu_count"])
        facts = None
        if net.startswith("quicknet"):
            # Not in Keras: the study's own count (multiply-accumulates), and a ResNet's proportions for the rest.
            macs = float(row["flops_forward"])
            facts = {"parameters": row["params"], "trainable_parameters": row["params"], "forward_flops": str(2 * macs),
                     "layers": "120", "activation_elements": str(macs / 250)}  # fmt: skip
        setting = _setting(
            "raphischer", row["framework"], net, side, row["gpu"], float(row["batch_size"]), gpus=gpus,
            samples=(float(row["train_samples"]), _IMAGENET_VALIDATION), facts=facts,
            site=f"{row['gpu']}/{row['framework']}",
        )  # fmt: skip
        if setting is None:
            continue
        # TensorFlow takes all of the GPU's memory at the start: its figure says nothing about the need.
        memory = float(row["gpu_mem_used_mb"]) * 2**20 if torch else None
        stalled = row["stalled"] == "1"
        duration = float(row["epoch_ts_median_s"] if stalled else row["epoch_duration_s"])
        energy = float(row["epoch_energy_robust_j"] if stalled else row["epoch_energy_j"])
        yield TrainingRun(
            setting=setting,
            mean_power_w=energy / duration / gpus if stalled else float(row["mean_power_w"]),
            epoch_duration_s=duration,
            gpu_utilisation=None if stalled else float(row["gpu_util"]) / 100,
            gpu_memory_bytes=memory,
        )


def _ecnas(path: Path) -> Iterator[TrainingRun]:
    for row in _rows(path):
        matrix, operations = json.loads(row["graph"])
        facts = nasbench.cell_network(matrix, operations)
        setting = _setting(
            "ecnas", "tensorflow", row["arch_hash"], 32, row["gpu"], float(row["batch_size"]),
            samples=(float(row["train_samples"]), 0.0),
            facts={
                "parameters": str(facts.parameters), "trainable_parameters": str(facts.parameters),
                "forward_flops": str(facts.forward_flops), "layers": str(facts.layers),
                "activation_elements": str(facts.activation_elements),
            },
        )  # fmt: skip
        if setting is not None:
            yield TrainingRun(
                setting=setting,
                mean_power_w=float(row["mean_power_w"]),
                epoch_duration_s=float(row["epoch_duration_s"]),
            )


def _deepgreen(path: Path) -> Iterator[TrainingRun]:
    for row in _rows(path):
        setting = _setting(
            "deepgreen", "pytorch", row["network"], 32, row["gpu"], float(row["batch_size"]),
            samples=(float(row["train_samples"]), 0.0),
        )  # fmt: skip
        if setting is not None:
            yield TrainingRun(
                setting=setting,
                mean_power_w=float(row["mean_power_w"]),
                epoch_duration_s=float(row["epoch_duration_s"]),
            )


def _ryujaehun(path: Path) -> Iterator[TrainingRun]:
    precisions = {"fp64": "float64", "fp32": "float32", "fp16": "float16"}
    for row in _rows(path):
        gpus = int(row["gpu_count"])
        setting = _setting(
            "ryujaehun", "pytorch", row["network"], 224, row["gpu"], float(row["batch_size"]) / gpus, gpus=gpus,
            precision=precisions[row["precision"]], synthetic=True,
        )  # fmt: skip
        if setting is not None and row["folder"] == "results":
            yield TrainingRun(setting=setting, step_duration_s=float(row["step_time_s"]))


def _pepr(path: Path) -> Iterator[TrainingRun]:
    for row in _rows(path):
        net = network_key(row["network"])
        sides = [side for study, _, name, side in _facts() if study == "pepr" and name == net]
        if not sides:
            continue
        setting = _setting("pepr", "pytorch", net, sides[0], row["gpu"], float(row["batch_size"]),
                           site="RTX 3090")  # fmt: skip
        if setting is not None:
            setting = replace(setting, allocator_memory=True)
            yield TrainingRun(setting=setting, gpu_memory_bytes=float(row["gpu_mem_max_alloc_gb"]) * 1e9)


def _mayaki(path: Path) -> Iterator[TrainingRun]:
    for row in _rows(path):
        repeats = int(row["num_repeats"])
        if row["family"] != "bert" or repeats == 1:
            # Single steps are of a transformer that was not published, in a precision that is not said.
            continue
        tokens = int(row["seq_length"])
        counted = bert(int(row["num_layers"]), int(row["d_model"]), tokens)
        facts = {name: str(getattr(counted, name)) for name in Bert.__slots__}
        # Networks that differ in the number of heads alone are one to every feature, and nearly one to the clock.
        setting = _setting(
            "mayaki", "pytorch", row["network"].rpartition("_h")[0], tokens, row["gpu"], float(row["batch_size"]),
            facts={**facts, "trainable_parameters": facts["parameters"]}, precision="mixed_float16", synthetic=True,
        )  # fmt: skip
        if setting is not None:
            yield TrainingRun(
                setting=replace(setting, sequence=True, input_elements=float(tokens)),
                step_duration_s=float(row["duration_s"]) / repeats,
            )


_READERS: dict[str, Callable[[Path], Iterator[TrainingRun]]] = {
    "delrey": _delrey,
    "raphischer": _raphischer,
    "ecnas": _ecnas,
    "deepgreen": _deepgreen,
    "ryujaehun": _ryujaehun,
    "pepr": _pepr,
    "mayaki": _mayaki,
}
