"""PyTorch scripts, dry-run by the interpreter that has PyTorch: facts of the whole training, FLOPs by hand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from advisor.inspection.dry_run import DryRun, dry_run
from tests.capabilities import frameworks_python

PYTHON = frameworks_python("torch")
pytestmark = pytest.mark.skipif(PYTHON is None, reason="needs tests/frameworks.sh's interpreter with PyTorch")

IMPORTS = """
import sys
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split
if not torch.cuda.is_available():
    sys.exit("no GPU")
"""

TWO_PHASES = """
data = TensorDataset(torch.randn(1100, 3, 32, 32), torch.randint(0, 5, (1100,)))
train, held = random_split(data, [1000, 100])
loader = DataLoader(train, 32, shuffle=True, drop_last=True, num_workers=4, pin_memory=True)
validation = DataLoader(held, 64)
body = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
model = nn.Sequential(body, nn.Linear(16, 5)).cuda()
body.requires_grad_(False)
best, waited = 1e9, 0
def fit(optimizer, epochs):
    global best, waited
    for epoch in range(epochs):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            with torch.autocast("cuda", dtype=torch.float16):
                loss = nn.functional.cross_entropy(model(x.cuda()), y.cuda())
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = sum((model(x.cuda()).argmax(1).cpu() == y).sum().item() for x, y in validation)
        waited = 0 if right > best else waited + 1
        if waited >= 2:
            break
fit(torch.optim.SGD(model[1].parameters(), lr=0.1), 5)
body.requires_grad_(True)
fit(torch.optim.AdamW(model.parameters()), 7)
torch.save(model.state_dict(), "model.pt")
"""

GAN = """
generator = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 20))
critic = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 1))
first = torch.optim.Adam(generator.parameters())
second = torch.optim.Adam(critic.parameters())
judge = nn.BCEWithLogitsLoss()
for epoch in range(3):
    for (real,) in DataLoader(TensorDataset(torch.randn(320, 20)), batch_size=32):
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        fake = generator(torch.randn(len(real), 8))
        second.zero_grad()
        (judge(critic(real), ones) + judge(critic(fake.detach()), zeros)).backward()
        second.step()
        first.zero_grad()
        judge(critic(fake), ones).backward()
        first.step()
"""

DISTILLED = """
teacher = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 3)).requires_grad_(False)
student = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(student.parameters(), 0.1)
for epoch in range(3):
    for (x,) in DataLoader(TensorDataset(torch.randn(320, 20)), batch_size=32):
        with torch.no_grad():
            wanted = teacher(x)
        nn.functional.mse_loss(student(x), wanted).backward()
        optimizer.step()
"""

TWO_VIEWS = """
encoder = nn.Linear(20, 8)
optimizer = torch.optim.SGD(encoder.parameters(), 0.1)
for epoch in range(3):
    for (x,) in DataLoader(TensorDataset(torch.randn(320, 20)), batch_size=32):
        encoder(torch.cat([x, x + torch.randn_like(x)])).square().mean().backward()
        optimizer.step()
"""

FULL_BATCH = """
network = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(network.parameters())
points = torch.rand(256, 2)
for it in range(60):
    loss = network(points).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

RECURRENT = """
from torch.nn.utils.rnn import pack_padded_sequence
class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.rnn, self.out = nn.Embedding(50, 24), nn.LSTM(24, 32, 2, batch_first=True), nn.Linear(32, 3)
    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.words(tokens), lengths, batch_first=True, enforce_sorted=False)
        return self.out(self.rnn(packed)[1][0][-1])
model = Tagger()
optimizer = torch.optim.RMSprop(model.parameters())
tokens, lengths, targets = torch.randint(0, 50, (64, 12)), torch.full((64,), 10), torch.randint(0, 3, (64,))
for epoch in range(4):
    order = torch.randperm(64)
    for start in range(0, 64, 16):
        rows = order[start : start + 16]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(tokens[rows], lengths[rows]), targets[rows]).backward()
        optimizer.step()
"""

STEP_DRIVEN = """
loader = DataLoader(TensorDataset(torch.randn(500, 20), torch.randn(500, 1)), batch_size=10)
model = nn.Linear(20, 1)
optimizer, step, most = torch.optim.NAdam(model.parameters()), 0, 3 * len(loader)
while step < most:
    for index, (x, y) in enumerate(loader):
        (nn.functional.mse_loss(model(x), y) / 5).backward()
        if (index + 1) % 5 == 0:
            optimizer.step()
            optimizer.zero_grad()
        step += 1
        if step >= most:
            break
"""

LARGE = """
class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.norms = heads, nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.inputs, self.outputs = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
    def forward(self, x):
        rows, length, width = x.shape
        parts = self.inputs(self.norms[0](x)).view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.outputs(attended.transpose(1, 2).reshape(rows, length, width))
        return x + self.narrow(nn.functional.gelu(self.wide(self.norms[1](x))))
class Language(nn.Module):
    def __init__(self, width=1600, layers=48, heads=25, words=50257, length=1024):
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight
    def forward(self, tokens):
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.head(self.norm(self.blocks(self.words(tokens) + self.places(places))))
model = torch.compile(Language().to("cuda", torch.bfloat16))
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
for step in range(100_000):
    tokens = torch.randint(0, 50257, (2, 1025))
    logits = model(tokens[:, :-1].to("cuda"))
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten().to("cuda"))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
"""


def run(tmp_path: Path, script: str) -> DryRun:
    """A dry run of the script by the interpreter that has PyTorch."""
    path = tmp_path / "train.py"
    path.write_text(IMPORTS + script, encoding="utf-8")
    found = dry_run(path, (), interpreter=(str(PYTHON),), environment=dict(os.environ), unconfined=True)
    assert "end" == found.ended, found.notes
    return found


def only(found: DryRun) -> Mapping[str, Any]:
    """The facts of a training that has one phase."""
    assert 1 == len(found.phases)
    return found.phases[0]


def test_frozen_then_fine_tuned(tmp_path: Path) -> None:
    """Two phases, each with its own parameters and cost; nothing stops early, and the saved model is not written."""
    found = run(tmp_path, TWO_PHASES)
    first, second = found.phases
    convolution, head = 2 * 32 * 32 * 16 * 27, 2 * 16 * 5

    assert {
        "framework": "pytorch", "batch_size": 32, "train_samples": 992, "validation_samples": 100, "epochs": 5,
        "optimizer": "sgd", "precision": "mixed_float16", "loader_workers": 4, "parameters": 448 + 85,
        "trainable_parameters": 85, "steps": 155, "forward_flops_per_sample": convolution + head,
        "training_flops_per_sample": convolution + 2 * head,
    }.items() <= first.items()  # fmt: skip
    assert {
        "epochs": 7, "optimizer": "adamw", "trainable_parameters": 448 + 85, "steps": 217,
        "training_flops_per_sample": 2 * convolution + 3 * head,
    }.items() <= second.items()  # fmt: skip
    assert any("early" in note for note in found.notes)
    assert ["train.py"] == [path.name for path in tmp_path.iterdir()]


def test_two_networks_are_both_counted(tmp_path: Path) -> None:
    """A GAN is one phase; its cost is what a whole iteration costs, through the generator only where gradients go."""
    facts = only(run(tmp_path, GAN))
    generator, critic = [2 * 8 * 32, 2 * 32 * 20], [2 * 20 * 32, 2 * 32 * 1]
    forward = sum(generator) + 3 * sum(critic)
    critic_step = 2 * (critic[0] + 2 * critic[1])
    generator_step = 2 * sum(critic) + generator[0] + 2 * generator[1]

    assert forward + critic_step + generator_step == facts["training_flops_per_sample"]
    assert sum(generator) + sum(critic) == facts["forward_flops_per_sample"]
    assert (948 + 705, 320, 3, 30) == tuple(facts[name] for name in ("parameters", "train_samples", "epochs", "steps"))


def test_a_teacher_is_worked_with_and_not_trained(tmp_path: Path) -> None:
    """What it computes at every step costs; its parameters are not those of the network that is trained."""
    facts = only(run(tmp_path, DISTILLED))
    teacher, student = 2 * (20 * 64 + 64 * 3), 2 * (20 * 8 + 8 * 3)

    assert (21 * 8 + 9 * 3, student) == (facts["parameters"], facts["forward_flops_per_sample"])
    assert teacher + 2 * student + 2 * 8 * 3 == facts["training_flops_per_sample"]


def test_two_views_of_a_sample_are_one_sample(tmp_path: Path) -> None:
    """Whether they go through the network together or one after the other."""
    facts = only(run(tmp_path, TWO_VIEWS))

    assert (320, 32, [20]) == (facts["train_samples"], facts["batch_size"], facts["input_shape"])
    assert 2 * 2 * 20 * 8 == facts["forward_flops_per_sample"]


def test_steps_on_the_same_tensor_are_epochs(tmp_path: Path) -> None:
    """Training on all data at once has no loader and no loop over batches."""
    facts = only(run(tmp_path, FULL_BATCH))

    assert (256, 256, 60, 60, 0) == tuple(
        facts[name] for name in ("train_samples", "batch_size", "epochs", "steps", "validation_samples")
    )


def test_packed_sequences_cost_their_real_lengths(tmp_path: Path) -> None:
    """Recurrent layers are counted by the steps that they take; batches cut by hand make epochs without a loader."""
    facts = only(run(tmp_path, RECURRENT))
    a_step = 2 * 4 * 32 * (24 + 32) + 2 * 4 * 32 * (32 + 32)

    assert 10 * a_step + 2 * 32 * 3 == facts["forward_flops_per_sample"]
    assert pytest.approx(3 * facts["forward_flops_per_sample"], rel=0.001) == facts["training_flops_per_sample"]
    assert {"batch_size": 16, "train_samples": 64, "epochs": 4, "steps": 16}.items() <= facts.items()


def test_loop_over_steps_counts_epochs_and_accumulation(tmp_path: Path) -> None:
    """The script's own count of steps ends its training where it will."""
    facts = only(run(tmp_path, STEP_DRIVEN))

    assert {"epochs": 3, "steps": 30, "gradient_accumulation": 5, "train_samples": 500}.items() <= facts.items()


def test_model_of_billions_needs_no_memory(tmp_path: Path) -> None:
    """GPT-2 XL: its parameters and FLOPs (3507 GFLOPs forward at 1,024 tokens), under a limit far below its weights."""
    facts = only(run(tmp_path, LARGE))

    assert 1_557_611_200 == facts["parameters"]
    assert pytest.approx(3507e9, rel=0.01) == facts["forward_flops_per_sample"]
    assert {"steps": 100_000, "precision": "bfloat16", "batch_size": 2}.items() <= facts.items()
    assert {"epochs": 1, "train_samples": 200_000}.items() <= facts.items()
