"""Write again the PyTorch networks of advisor/training/network_facts.csv whose GPU memory was measured, in place.

    PYTHON docs/data/network_facts.py, PYTHON with torch, torchvision and timm (2.13.0, 0.28.0, 1.0.31 last)

These are the networks of pepr and raphischer: built without weights on the meta device, as the studies built them, and
counted for one sample. pepr's program gives timm's networks seven classes and reads images that are stored at 256 x 256
(datasets.py, train_medmnist.py in saintslab/PePR); raphischer's are torchvision's. ``saved_bytes_per_sample`` is what
the dry run's own counter finds at the studies' batch size, in float32. It stays empty for all other networks: nothing
measured what they take.
"""

# ruff: noqa: INP001, E402 (a script, not a package; it imports the dry run's counter by path)

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import timm
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "advisor" / "injected"))
from gsbatch_inside.frameworks.torch.saved import SavedTensors, as_on_a_gpu

FACTS = ROOT / "advisor" / "training" / "network_facts.csv"
BATCH = 32
PEPR_SIDE, PEPR_CLASSES = 256, 7
RENAMED = {"adv_inception_v3": "inception_v3.tf_adv_in1k", "gluon_inception_v3": "inception_v3.gluon_in1k"}
TORCHVISION = {"MobileNetV2": "mobilenet_v2", "MobileNetV3Small": "mobilenet_v3_small",
               "MobileNetV3Large": "mobilenet_v3_large"}  # fmt: skip


def pepr_network(name: str) -> torch.nn.Module:
    """A network of timm, under its name of today."""
    name = RENAMED.get(name, name)
    if not timm.is_model(name):
        name = name.replace("gluon_", "") + ".gluon_in1k"
    return timm.create_model(name, pretrained=False, num_classes=PEPR_CLASSES)


def raphischer_network(name: str) -> torch.nn.Module:
    """A network of torchvision."""
    return torchvision.models.get_model(
        TORCHVISION.get(name, name.lower().replace("efficientnet", "efficientnet_")), weights=None
    )


def elements(output: torch.Tensor | tuple[torch.Tensor, ...]) -> int:
    """Of all that a layer returns."""
    return output.numel() if isinstance(output, torch.Tensor) else sum(elements(one) for one in output)


def facts(model: torch.nn.Module, side: int) -> dict[str, int]:
    """The columns' values, of one sample."""
    images = torch.empty(BATCH, 3, side, side, device="meta")
    targets = torch.empty(BATCH, dtype=torch.long, device="meta")
    outputs: list[int] = []
    leaves = [one for one in model.modules() if not list(one.children())]
    for leaf in leaves:
        if not isinstance(leaf, (torch.nn.Identity, torch.nn.Flatten)):
            leaf.register_forward_hook(lambda _module, _inputs, output: outputs.append(elements(output)))
    saved = SavedTensors()
    saved.leave_out([*model.parameters(), *model.buffers()])
    with saved:
        with FlopCounterMode(display=False) as flops:
            result = model.train()(images)
        loss = torch.nn.functional.cross_entropy(result, targets)
        kept = saved.most_during(loss.backward)
    parameters = list(model.parameters())
    return {
        "input_size": side,
        "parameters": sum(one.numel() for one in parameters),
        "trainable_parameters": sum(one.numel() for one in parameters if one.requires_grad),
        "forward_flops": flops.get_total_flops() // BATCH,
        "layers": len(outputs),
        "activation_elements": sum(outputs) // BATCH,
        "saved_bytes_per_sample": kept // BATCH,
    }


def rows() -> Iterator[dict[str, str | int]]:
    """All lines of the table, those of these networks counted again."""
    with FACTS.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            with torch.device("meta"):
                if row["study"] == "pepr":
                    yield {**row, **facts(pepr_network(row["network"]), PEPR_SIDE)}
                elif row["study"] == "raphischer" and row["framework"] == "pytorch":
                    yield {**row, **facts(raphischer_network(row["network"]), int(row["input_size"]))}
                else:
                    yield {**row, "saved_bytes_per_sample": ""}


if __name__ == "__main__":
    as_on_a_gpu()
    counted = list(rows())
    with FACTS.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, fieldnames=list(counted[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(counted)
