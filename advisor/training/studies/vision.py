"""Readers of the studies of image networks: each yields its measured runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from advisor.prediction.features import network_key
from advisor.prediction.mix import Mix
from advisor.training import nasbench
from advisor.training.runs import TrainingRun
from advisor.training.studies.rows import image_setting, network_facts, rows_of

_IMAGENET_VALIDATION = 50000
_EFFICIENTNET_SIDES = {"b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380}
_TORCH_EFFICIENTNET_SIDES = {"b0": 224, "b1": 240, "b2": 288, "b3": 300, "b4": 380}


def delrey(path: Path) -> Iterator[TrainingRun]:
    """The paper's runs: five networks trained whole, and a frozen one."""
    for row in rows_of(path):
        setting = image_setting(
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


def raphischer(path: Path) -> Iterator[TrainingRun]:
    """ImageNet on one GPU and on eight, decoded as it is read."""
    for row in rows_of(path):
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
        setting = image_setting(
            "raphischer", row["framework"], net, side, row["gpu"], float(row["batch_size"]), gpus=gpus,
            samples=(float(row["train_samples"]), _IMAGENET_VALIDATION), facts=facts,
            site=f"{row['gpu']}/{row['framework']}",
        )  # fmt: skip
        if setting is None:
            continue
        setting = replace(setting, replicated=torch and gpus > 1)  # by DataParallel
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


def ecnas(path: Path) -> Iterator[TrainingRun]:
    """Small cells on 32 x 32 pixels."""
    for row in rows_of(path):
        matrix, operations = json.loads(row["graph"])
        facts = nasbench.cell_network(matrix, operations)
        pointwise = facts.pointwise_flops / facts.forward_flops
        setting = image_setting(
            "ecnas", "tensorflow", row["arch_hash"], 32, row["gpu"], float(row["batch_size"]),
            samples=(float(row["train_samples"]), 0.0), mix=Mix(1.0 - pointwise, pointwise, 0.0, 0.0, 0.0, 0.5, 1.5),
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


def deepgreen(path: Path) -> Iterator[TrainingRun]:
    """Small images on a large board, bound by the host."""
    for row in rows_of(path):
        setting = image_setting(
            "deepgreen", "pytorch", row["network"], 32, row["gpu"], float(row["batch_size"]),
            samples=(float(row["train_samples"]), 0.0),
        )  # fmt: skip
        if setting is not None:
            yield TrainingRun(
                setting=setting,
                mean_power_w=float(row["mean_power_w"]),
                epoch_duration_s=float(row["epoch_duration_s"]),
            )


def ryujaehun(path: Path) -> Iterator[TrainingRun]:
    """Steps on synthetic images, in three precisions, on one to four GPUs."""
    precisions = {"fp64": "float64", "fp32": "float32", "fp16": "float16"}
    for row in rows_of(path):
        gpus = int(row["gpu_count"])
        setting = image_setting(
            "ryujaehun", "pytorch", row["network"], 224, row["gpu"], float(row["batch_size"]) / gpus, gpus=gpus,
            precision=precisions[row["precision"]], synthetic=True,
        )  # fmt: skip
        if setting is not None and row["folder"] == "results":
            setting = replace(setting, replicated=gpus > 1)  # by DataParallel
            yield TrainingRun(setting=setting, step_duration_s=float(row["step_time_s"]))


def pepr(path: Path) -> Iterator[TrainingRun]:
    """GPU memory of many networks."""
    for row in rows_of(path):
        net = network_key(row["network"])
        sides = [side for study, _, name, side in network_facts() if study == "pepr" and name == net]
        if not sides:
            continue
        setting = image_setting("pepr", "pytorch", net, sides[0], row["gpu"], float(row["batch_size"]),
                           site="RTX 3090")  # fmt: skip
        if setting is not None:
            setting = replace(setting, allocator_memory=True)
            yield TrainingRun(setting=setting, gpu_memory_bytes=float(row["gpu_mem_max_alloc_gb"]) * 1e9)


_CHESSLIVE = {"mobilenet_v2": "MobileNetV2", "nasnet_mobile": "NASNetMobile", "resnet50": "ResNet50", "vgg16": "VGG16",
              "xception": "Xception"}  # fmt: skip


def gaissa(path: Path) -> Iterator[TrainingRun]:
    """Five networks trained whole in the laboratory of delrey2024, on its machines."""
    for row in rows_of(path):
        setting = image_setting(
            "delrey2024:chesslive", "tensorflow", _CHESSLIVE[row["network"]], 128, row["gpu"], float(row["batch_size"]),
            samples=(float(row["train_samples"]), float(row["val_samples"])),
        )  # fmt: skip
        if setting is not None:
            yield TrainingRun(
                setting=replace(setting, study="gaissa"),
                mean_power_w=float(row["mean_power_w"]),
                epoch_duration_s=float(row["epoch_duration_s"]),
            )


def timm(path: Path) -> Iterator[TrainingRun]:
    """Mixed precision, channels first as PyTorch has it where a program does not ask for the other."""
    for row in rows_of(path):
        if row["memory_format"] != "channels_first":
            continue
        side = int(row["input_size"].split("x")[0])
        setting = image_setting(
            "timm", "pytorch", row["network"], side, row["gpu"], float(row["batch_size"]), precision="mixed_float16",
            synthetic=True,
        )  # fmt: skip
        if setting is not None:
            yield TrainingRun(setting=setting, step_duration_s=float(row["step_time_s"]))
