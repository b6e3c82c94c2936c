"""Scripts that train on a long file of tokens that is not on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from advisor.inspection.dry_run import DryRun, dry_run
from tests.capabilities import frameworks_python

PYTHON = frameworks_python("torch", "numpy")
pytestmark = pytest.mark.skipif(PYTHON is None, reason="needs tests/frameworks.sh's interpreter with PyTorch")

SCRIPT = """
import os, pickle
import numpy as np
import torch
from torch import nn
folder, block, size = "tokens", 32, 8
vocabulary = 100
{before}
model = nn.Sequential(nn.Embedding(vocabulary, 16), nn.Linear(16, vocabulary))
optimizer = torch.optim.AdamW(model.parameters())
def read(name):
    return np.memmap(os.path.join(folder, name), dtype=np.uint16, mode="r")
def train_on(data, places):
    x = torch.stack([torch.from_numpy(data[i : i + block].astype(np.int64)) for i in places])
    y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + block].astype(np.int64)) for i in places])
    loss = nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
{training}
"""
RANDOM_PIECES = """
for step in range(700):
    data = read("train.bin")
    if step % 100 == 0:
        held = read("val.bin")
    train_on(data, torch.randint(len(data) - block, (size,)))
"""
ALL_PIECES = """
data = read("train.bin")
for begin in range(0, len(data) - block * size, block * size):
    train_on(data, range(begin, begin + block * size, block))
"""
A_DATA_SET = """
class Pieces(torch.utils.data.Dataset):
    def __init__(self):
        self.data = read("train.bin")
    def __len__(self):
        return len(self.data) // block
    def __getitem__(self, place):
        return torch.from_numpy(self.data[place * block : (place + 1) * block].astype(np.int64))
for epoch in range(3):
    for x in torch.utils.data.DataLoader(Pieces(), batch_size=size):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x).flatten(0, 1), x.flatten()).backward()
        optimizer.step()
"""
VOCABULARY = """
if os.path.exists(os.path.join(folder, "meta.pkl")):
    vocabulary = pickle.load(open(os.path.join(folder, "meta.pkl"), "rb"))["size"]
"""
PARAMETERS = 100 * 16 + 16 * 100 + 100


def run(tmp_path: Path, training: str, before: str = "") -> DryRun:
    """A dry run of the script with that training."""
    path = tmp_path / "train.py"
    path.write_text(SCRIPT.format(training=training, before=before), encoding="utf-8")
    return dry_run(path, (), interpreter=(str(PYTHON),), environment=dict(os.environ), unconfined=True)


def test_steps_that_are_an_option_are_known_without_the_file(tmp_path: Path) -> None:
    """A training on random pieces is described whole."""
    found = run(tmp_path, RANDOM_PIECES)

    (facts,) = found.phases
    assert (700, 8, PARAMETERS) == (facts["steps"], facts["batch_size"], facts["parameters"])
    assert any("train.bin is not on this machine" in note for note in found.notes)


@pytest.mark.parametrize("training", [ALL_PIECES, A_DATA_SET])
def test_what_hangs_on_the_length_of_the_file_stays_unknown(tmp_path: Path, training: str) -> None:
    """Neither steps nor samples are told where the file's length decides them."""
    (facts,) = run(tmp_path, training).phases

    assert (8, PARAMETERS) == (facts["batch_size"], facts["parameters"])
    assert set() == {"steps", "train_samples"} & set(facts)


def test_a_network_sized_by_another_missing_file_stays_unknown(tmp_path: Path) -> None:
    """A vocabulary's file that the script looks for beside its data would settle the size of its layers."""
    (facts,) = run(tmp_path, RANDOM_PIECES, before=VOCABULARY).phases

    assert 700 == facts["steps"]
    assert set() == {"parameters", "training_flops_per_sample"} & set(facts)
