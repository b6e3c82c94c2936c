"""What a PyTorch training keeps for its backward pass, found by the dry run: bytes of a sample, counted by hand."""

from __future__ import annotations

import os

import pytest

from advisor.inspection.dry_run import dry_run
from tests.capabilities import frameworks_python

PYTHON = frameworks_python("torch")
pytestmark = pytest.mark.skipif(PYTHON is None, reason="needs tests/frameworks.sh's interpreter with PyTorch")

# One training after another; each begins with an optimizer of its own.
SCRIPT = """
import torch
from torch import nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

def train(model, data, half=False):
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.1)
    for epoch in range(2):
        for x, y in DataLoader(TensorDataset(data, torch.zeros(len(data), dtype=torch.long)), batch_size=10):
            with torch.autocast("cuda", dtype=torch.float16, enabled=half):
                loss = cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()

class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inputs, self.head = nn.Linear(16, 48), nn.Linear(16, 5)
    def forward(self, x):
        parts = self.inputs(x).view(len(x), 100, 3, 2, 8).permute(2, 0, 3, 1, 4)
        return self.head(scaled_dot_product_attention(*parts).transpose(1, 2).reshape(len(x), 100, 16)[:, 0])

class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.reentrant, self.inputs, self.head = reentrant, nn.Linear(20, 32), nn.Linear(32, 5)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 32)) for _ in range(4))
    def forward(self, x):
        x = self.inputs(x)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=self.reentrant)
        return self.head(x)

def network():
    return nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 5))

rows = torch.zeros(40, 20)
slope = torch.func.grad(lambda value: (value * value).sum())(torch.ones(3))
train(network(), rows)
train(network(), rows, half=True)
frozen = nn.Sequential(nn.Linear(20, 320), nn.ReLU(), nn.Linear(320, 5))
frozen[0].requires_grad_(False)
train(frozen, rows)
train(Attention(), torch.zeros(40, 100, 16))
train(Checkpointed(True), rows)
train(Checkpointed(False), rows)
"""

LOSS = 4 * 5 + 8  # the logarithms of five probabilities, and the target


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Of each training."""
    script = tmp_path_factory.mktemp("saved") / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    found = dry_run(script, (), interpreter=(str(PYTHON),), environment=dict(os.environ), unconfined=True)
    return [phase["saved_bytes_per_sample"] for phase in found.phases]


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        # input, output of the ReLU, the dropout's mask of one byte and its output; weights do not count
        pytest.param(0, 4 * 20 + 4 * 32 + 32 + 4 * 32 + LOSS, id="each storage once"),
        # matrix products keep halves, as does what follows them; the loss is computed in float32
        pytest.param(1, 2 * 20 + 2 * 32 + 32 + 2 * 32 + LOSS, id="autocast"),
        # the frozen layer is followed by no gradient
        pytest.param(2, 4 * 320 + LOSS, id="frozen"),
        # input, its three parts, the result (which the head keeps too) and a number a row; not 100 x 100 pairs
        pytest.param(3, 4 * 100 * (16 + 48 + 16 + 2) + LOSS, id="attention"),
    ],
)
def test_bytes_are_those_of_a_gpu_by_hand(kept: list[int], training: int, expected: int) -> None:
    """The fact is what autograd keeps on a GPU: storages and not views, in the precision that they have."""
    assert pytest.approx(expected, abs=1) == kept[training]


def test_a_checkpoint_keeps_its_inputs_and_one_segment(kept: list[int]) -> None:
    """What is made again takes memory once and not in every block, whichever way PyTorch goes about it."""
    inputs, segment = 4 * 20 + 4 * 4 * 32, 4 * 64
    reentrant, other = kept[4:]

    assert pytest.approx(inputs + segment, rel=0.2) == reentrant
    assert pytest.approx(inputs + segment + 4 * 32 + LOSS, rel=0.1) == other
