"""Count image networks by their operators: advisor/prediction/operator_mixes.csv, and new lines of network_facts.csv.

    PYTHON docs/data/operator_mixes.py [TIMM_CSV], PYTHON with torch, torchvision and timm (2.13.0, 0.28.0, 1.0.31 last)

Networks are built without weights on the meta device and run forward once in training mode; every operator but a view
is seen by a dispatch mode. The table of mixes holds medians over the networks whose names begin with a family's. The
facts are of the studies timm (TIMM_CSV is its file), nvidia_dle, flagperf and miso; what stands there already of these
is replaced.
"""

# ruff: noqa: INP001, T201, SIM905 (a script, not a package: it prints, and lists are easier to read as text)

from __future__ import annotations

import csv
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[2]
FACTS = ROOT / "advisor" / "training" / "network_facts.csv"
MIXES = ROOT / "advisor" / "prediction" / "operator_mixes.csv"
TIMM = ROOT.parent / "shared" / "data" / "timm_train_rtx3090.csv"
BATCH = 2
VIEWS = frozenset(
    """view _unsafe_view reshape transpose t permute expand slice select unsqueeze squeeze detach alias split chunk
    unbind as_strided _reshape_alias split_with_sizes lift_fresh empty zeros ones arange full empty_like
    unfold""".split()
)
FAMILIES = """alexnet vgg resnet18 resnet34 resnet20 resnet32 resnet44 resnet56 resnet110 resnet200 preactresnet18
    preactresnet resnet resnetv2 resnext seresnet18 seresnet seresnext senet18 senet wideresnet wrn wideresnet28 resnest
    regnet regnetz nfnet densenet dla dpn inception inceptionresnet googlenet xception squeezenet shufflenet ghostnet
    mobilenet mobilevit mnasnet nasnet pnasnet efficientnet efficientnetv2 tinynet fbnet rexnet mixnet convnext
    convmixer mlpmixer mixer resmlp gmlp vit visiontransformer deit beit swin swinv2 xcit crossvit twins volo levit coat
    nest maxvit edgenext poolformer hrnet darknet csp repvgg vovnet halonet botnet lambda unet lenet""".split()
# Families that are named after small images and were not counted themselves: those that they are built like.
LIKE = {
    "preactresnet18": "resnet18", "resnet20": "resnet18", "resnet32": "resnet18", "resnet44": "resnet18",
    "resnet56": "resnet18", "resnet110": "resnet18", "senet18": "seresnet18", "wrn": "resnet18",
    "wideresnet28": "resnet18", "preactresnet": "resnet", "visiontransformer": "vit", "mlpmixer": "mixer",
    "lenet": "alexnet", "resnet200": "resnet",
}  # fmt: skip
PREFIXES = ("gluon", "swsl", "ssl", "tf", "legacy", "adv", "ens", "tv", "eca", "gc", "nf", "sk", "dm", "jx")
COLUMNS = ("convolution", "pointwise", "grouped", "matrix", "depthwise_elements", "elementwise", "kernels")
PRODUCTS = frozenset({"addmm", "mm", "linear"})
BATCHED = frozenset({"bmm", "baddbmm", "matmul"})

Builder = Callable[[], torch.nn.Module]
OTHERS: list[tuple[str, tuple[str, ...], str, int, Builder]] = [
    ("nvidia_dle", ("pytorch", "tensorflow"), "resnet50", 224, torchvision.models.resnet50),
    ("nvidia_dle", ("pytorch", "tensorflow"), "resnext101_32x4d", 224, lambda: timm.create_model("resnext101_32x4d")),
    (
        "nvidia_dle",
        ("pytorch", "tensorflow"),
        "seresnext101_32x4d",
        224,
        lambda: timm.create_model("seresnext101_32x4d"),
    ),
    ("nvidia_dle", ("pytorch", "tensorflow"), "efficientnet_b0", 224, torchvision.models.efficientnet_b0),
    ("nvidia_dle", ("pytorch", "tensorflow"), "efficientnet_b4", 380, torchvision.models.efficientnet_b4),
    ("flagperf", ("pytorch",), "mobilenet_v2", 224, torchvision.models.mobilenet_v2),
    ("miso", ("tensorflow",), "ResNet50", 32, lambda: torchvision.models.resnet50(num_classes=10)),
    ("miso", ("tensorflow",), "MobileNetV2", 32, lambda: torchvision.models.mobilenet_v2(num_classes=10)),
]
# Counted for their mixes alone.
ONLY_MIXES: list[tuple[str, int, Builder]] = [
    (name, side, lambda name=name: torchvision.models.get_model(name, weights=None))  # type: ignore[misc]
    for name, side in (
        ("alexnet", 224), ("vgg11", 224), ("vgg16_bn", 224), ("resnet18", 224), ("resnet34", 224), ("densenet121", 224),
        ("squeezenet1_0", 224), ("shufflenet_v2_x1_0", 224), ("mnasnet1_0", 224), ("mobilenet_v3_large", 224),
        ("wide_resnet50_2", 224), ("vit_b_16", 224), ("maxvit_t", 224), ("efficientnet_v2_s", 384),
    )
]  # fmt: skip


class Operators(TorchDispatchMode):
    """Sums FLOPs and outputs by kind of operator, of the whole batch."""

    def __init__(self) -> None:
        super().__init__()
        self.sums: dict[str, float] = defaultdict(float)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.split("::")[1].rstrip("_")  # noqa: SLF001 (the operator's only name)
        if name not in VIEWS:
            first = out[0] if isinstance(out, (tuple, list)) else out
            self.sums["kernels"] += 1
            self._add(name, args, float(first.numel()) if isinstance(first, torch.Tensor) else 0.0)
        return out

    def _add(self, name: str, args: Any, outputs: float) -> None:
        if name in {"convolution", "_convolution"}:
            weight, groups = args[1], args[8]
            kind = (
                "depthwise" if groups == weight.shape[0] > 1 else "grouped" if groups > 1
                else "pointwise" if weight[0, 0].numel() == 1 else "convolution"
            )  # fmt: skip
            self.sums[kind] += 2.0 * outputs * weight[0].numel()
            if kind == "depthwise":
                self.sums["depthwise_elements"] += outputs
        elif name in PRODUCTS or name in BATCHED:
            left = args[1] if name in {"addmm", "baddbmm"} else args[0]
            self.sums["matrix"] += 2.0 * outputs * left.shape[-1]
        elif "scaled_dot_product" in name or "flash" in name:
            self.sums["matrix"] += 4.0 * args[0].numel() * args[1].shape[-2]
        elif not name.endswith("_norm") and "batch_norm" not in name:
            self.sums["elementwise"] += outputs

    def mix(self, activations: float, layers: int) -> list[float]:
        """The columns of the table of mixes."""
        total = sum(self.sums[name] for name in (*COLUMNS[:4], "depthwise"))
        return [
            *(self.sums[name] / total for name in COLUMNS[:4]),
            *(self.sums[name] / activations for name in COLUMNS[4:6]),
            self.sums["kernels"] / layers,
        ]


def elements(output: Any) -> int:
    """Of all that a layer returns."""
    if isinstance(output, torch.Tensor):
        return output.numel()
    return sum(elements(one) for one in output) if isinstance(output, (tuple, list)) else 0


def count(model: torch.nn.Module, side: int) -> tuple[dict[str, int], list[float]]:
    """The facts of one sample, and the mix."""
    outputs: list[int] = []
    for leaf in model.modules():
        if not list(leaf.children()) and not isinstance(leaf, (torch.nn.Identity, torch.nn.Flatten)):
            leaf.register_forward_hook(lambda _module, _inputs, output: outputs.append(elements(output)))
    images = torch.empty(BATCH, 3, side, side)
    with torch.no_grad(), Operators() as operators, FlopCounterMode(display=False) as flops:
        model.train()(images)
    parameters = sum(one.numel() for one in model.parameters())
    facts = {
        "input_size": side, "parameters": parameters, "trainable_parameters": parameters,
        "forward_flops": flops.get_total_flops() // BATCH, "layers": len(outputs),
        "activation_elements": sum(outputs) // BATCH,
    }  # fmt: skip
    return facts, operators.mix(sum(outputs), len(outputs))


def of_timm(path: Path) -> Iterator[tuple[str, int, Builder]]:
    """The networks of timm's own table that it still has."""
    with path.open(newline="", encoding="utf-8") as lines:
        seen = {(row["network"], int(row["input_size"].split("x")[0])): None for row in csv.DictReader(lines)}
    for name, side in seen:
        known = next(
            (n for n in (name, name.replace("gluon_", ""), re.sub("_in2[12]k", "", name)) if timm.is_model(n)), ""
        )
        if known:
            yield name, side, lambda known=known, side=side: _sized(known, side)  # type: ignore[misc]


def _sized(name: str, side: int) -> torch.nn.Module:
    try:
        return timm.create_model(name, pretrained=False, img_size=side)
    except TypeError:  # of networks that take any size
        return timm.create_model(name, pretrained=False)


def family(name: str) -> str | None:
    """The longest family that the name begins with, less what says who trained it."""
    key = re.sub(r"[^a-z0-9]", "", name.lower())
    key = next((key.removeprefix(p) for p in PREFIXES if key.startswith(p) and len(key) > len(p) + 3), key)
    return max((one for one in FAMILIES if key.startswith(one)), key=len, default=None)


def main(path: Path) -> None:
    """Count all and write both tables."""
    lines: list[dict[str, Any]] = []
    mixes: dict[str, list[list[float]]] = defaultdict(list)
    wanted = [("timm", ("pytorch",), *one) for one in of_timm(path)] + OTHERS + [("", (), *one) for one in ONLY_MIXES]
    with torch.device("meta"):
        for study, frameworks, name, side, build in wanted:
            try:
                facts, mix = count(build(), side)
            except (RuntimeError, AssertionError, NotImplementedError) as problem:  # not to be run without data
                print(f"{name} at {side}: {problem}", file=sys.stderr)
                continue
            mixes[family(name) or ""].append(mix)
            lines += [
                {"study": study, "framework": one, "network": name, **facts, "saved_bytes_per_sample": ""}
                for one in frameworks
            ]
    with FACTS.open(newline="", encoding="utf-8") as file:
        kept = [row for row in csv.DictReader(file) if row["study"] not in {line["study"] for line in lines}]
    with FACTS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(kept[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *lines])
    with MIXES.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["prefix", *COLUMNS, "networks"])
        for name in FAMILIES:
            counted = mixes[LIKE.get(name, name)]
            if counted:
                medians = [round(statistics.median(column), 3) for column in zip(*counted, strict=True)]
                table.writerow([name, *medians, len(counted)])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TIMM)
