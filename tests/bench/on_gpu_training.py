"""Trains one network of ``on_gpu.py`` for some seconds, and writes down what it is and how long its steps took.

Plain PyTorch, run under the recorder like any user's script. Batches lie on the device beforehand: what is measured is
the card, not a data loader.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.flop_counter import FlopCounterMode

EPOCHS = 3  # the first has start-up in it
_TOKENS = 10_000
_LAYERS = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm, nn.LSTM, nn.Embedding, nn.MultiheadAttention)
# name: (largest batch, sides of an image or length of a sequence, smaller ones for a machine without a card)
SIZES = {
    "perceptron": (4096, 1024, 64),
    "convolutions": (128, 224, 32),
    "residual": (128, 224, 32),
    "depthwise": (128, 224, 32),
    "recurrent": (512, 128, 16),
    "encoder": (64, 256, 16),
    "decoder": (16, 1024, 16),
}


class Residual(nn.Module):  # type: ignore[misc]  # mypy runs where PyTorch is not installed
    """Two convolutions beside a shortcut."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        self.shortcut = nn.Conv2d(width_in, width, 1, stride, bias=False)

    def forward(self, x: Any) -> Any:
        """One pass."""
        return torch.relu(self.body(x) + self.shortcut(x))


def _depthwise(width_in: int, width: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(width_in, width_in, 3, stride, 1, groups=width_in, bias=False), nn.BatchNorm2d(width_in), nn.ReLU6(),
        nn.Conv2d(width_in, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU6(),
    )  # fmt: skip


def _plain(width_in: int, width: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(width_in, width, 3, stride, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1), nn.ReLU()
    )


class Words(nn.Module):  # type: ignore[misc]  # mypy runs where PyTorch is not installed
    """A network over tokens: embeddings, a body, one score for each token."""

    def __init__(self, width: int, body: nn.Module, *, causal: bool = False) -> None:
        super().__init__()
        self.embedding, self.body, self.head = nn.Embedding(_TOKENS, width), body, nn.Linear(width, _TOKENS)
        self.causal = causal

    def forward(self, tokens: Any) -> Any:
        """One pass."""
        x = self.embedding(tokens)
        if self.causal:
            mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], device=x.device, dtype=x.dtype)
            x = self.body(x, mask=mask, is_causal=True)
        else:
            x = self.body(x)
        return self.head(x[0] if isinstance(x, tuple) else x)


def network_of(name: str, *, small: bool) -> nn.Module:
    """The network; a tenth of it where there is no card."""
    width = 8 if small else 64
    if name == "perceptron":
        hidden = 64 * width
        return nn.Sequential(
            nn.Linear(SIZES[name][2 if small else 1], hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1000),
        )  # fmt: skip
    if name in {"recurrent", "encoder", "decoder"}:
        inner, depth = 12 * width, 1 if small else 12
        if name == "recurrent":
            return Words(inner, nn.LSTM(inner, inner, 2, batch_first=True))
        layer = nn.TransformerEncoderLayer(inner, 12, 4 * inner, batch_first=True, norm_first=True)
        return Words(inner, nn.TransformerEncoder(layer, depth, enable_nested_tensor=False), causal=name == "decoder")
    block = {"convolutions": _plain, "residual": Residual, "depthwise": _depthwise}[name]
    widths = [width, 2 * width, 4 * width, 8 * width]
    body = [block(w_in, w, 2) for w_in, w in zip([width, *widths], widths, strict=False)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 1000)]
    return nn.Sequential(nn.Conv2d(3, width, 7, 2, 3), nn.ReLU(), *body, *head)


def batch_of(name: str, batch_size: int, *, small: bool, device: str) -> tuple[Any, Any]:
    """Random inputs and labels."""
    side = SIZES[name][2 if small else 1]
    if name == "perceptron":
        return torch.rand(batch_size, side, device=device), torch.randint(1000, (batch_size,), device=device)
    if name in {"recurrent", "encoder", "decoder"}:
        tokens = torch.randint(_TOKENS, (batch_size, side), device=device)
        return tokens, torch.randint(_TOKENS, (batch_size, side), device=device)
    return torch.rand(batch_size, 3, side, side, device=device), torch.randint(1000, (batch_size,), device=device)


class Batches(IterableDataset[Any]):  # type: ignore[misc]  # mypy runs where PyTorch is not installed
    """The same batch over and over, as often as an epoch has steps."""

    def __init__(self, batch: tuple[Any, Any], steps: int) -> None:
        self.batch, self.steps = batch, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        return iter([self.batch] * self.steps)


def facts_of(network: nn.Module, batch: tuple[Any, Any]) -> dict[str, Any]:
    """Parameters, FLOPs and activations of one sample, layers."""
    one = batch[0][:1]
    elements: list[int] = []
    layers = [layer for layer in network.modules() if isinstance(layer, _LAYERS)]

    def count(_layer: Any, _inputs: Any, output: Any) -> None:
        elements.append((output[0] if isinstance(output, tuple) else output).numel())

    hooks = [layer.register_forward_hook(count) for layer in layers]
    network.eval()  # one sample has no batch statistics
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(one)
    network.train()
    for hook in hooks:
        hook.remove()
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "forward_flops_per_sample": float(counter.get_total_flops()),
        "layers": len(layers),
        "activation_elements": sum(elements),
        "input_shape": list(one.shape[1:]),
    }


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=sorted(SIZES))
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    small = not torch.cuda.is_available()
    device = "cpu" if small else "cuda"
    torch.manual_seed(0)
    network = network_of(arguments.network, small=small).to(device)
    batch = batch_of(arguments.network, arguments.batch, small=small, device=device)
    facts = facts_of(network, batch)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    took: list[float] = []

    def wait() -> None:
        if not small:
            torch.cuda.synchronize()

    def step(inputs: Any, labels: Any) -> None:
        with torch.autocast(device, torch.bfloat16, enabled=arguments.precision == "mixed_bfloat16"):
            scores = network(inputs)
            loss = nn.functional.cross_entropy(scores.flatten(0, -2), labels.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    for _ in range(3):  # kernels are chosen and memory is taken in the first steps
        step(*batch)
    wait()
    begun = time.perf_counter()
    for _ in range(3):
        step(*batch)
    wait()
    steps = max(3, int(arguments.seconds / EPOCHS / ((time.perf_counter() - begun) / 3)))
    loader = DataLoader(Batches(batch, steps), batch_size=None)
    epochs_s = []
    for _ in range(EPOCHS):
        begun = time.perf_counter()
        for inputs, labels in loader:
            step(inputs, labels)
        wait()
        epochs_s.append(time.perf_counter() - begun)
        took.append(epochs_s[-1] / steps)
    memory = 0 if small else torch.cuda.max_memory_allocated()
    written = {
        **facts, "framework": "torch", "model_name": arguments.network, "batch_size": arguments.batch,
        "precision": arguments.precision, "optimizer": "sgd", "train_samples": steps * arguments.batch,
        "epochs": EPOCHS, "steps_an_epoch": steps, "step_s": statistics.median(took[1:]), "allocated_bytes": memory,
        "torch": torch.__version__, "device": "CPU" if small else torch.cuda.get_device_name(),
    }  # fmt: skip
    arguments.out.write_text(json.dumps(written), encoding="utf-8")


if __name__ == "__main__":
    main()
