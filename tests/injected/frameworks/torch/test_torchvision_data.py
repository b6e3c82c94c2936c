"""Scripts that begin by downloading one of torchvision's data sets, as most that people learn from do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from advisor.inspection.dry_run import DryRun, dry_run
from tests.capabilities import frameworks_python

PYTHON = frameworks_python("torch", "PIL")
# A folder of its own: see tests/frameworks.sh.
TORCHVISION = Path(PYTHON).parents[1] / "torchvision" if PYTHON else Path("missing")
pytestmark = pytest.mark.skipif(
    not TORCHVISION.is_dir(), reason="needs tests/frameworks.sh's interpreter, and torchvision beside it"
)

SCRIPT = """
import shutil, sys, types
# The operators that this module describes are in the CUDA build alone.
sys.modules["torchvision._meta_registrations"] = types.ModuleType("nothing")
import torch
from torch import nn
from torchvision import datasets, transforms
seen = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
{data}
loader = torch.utils.data.DataLoader(data, batch_size=100, shuffle=True)
model = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(6):
    for x, y in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    {after_an_epoch}
"""
SAVE = 'torch.save(model.state_dict(), "last.pt"); shutil.copyfile("last.pt", "best.pt")'


def run(tmp_path: Path, data: str, after_an_epoch: str = SAVE) -> DryRun:
    """A dry run of the script with that data set."""
    path = tmp_path / "train.py"
    path.write_text(SCRIPT.format(data=data, after_an_epoch=after_an_epoch), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(TORCHVISION)}
    return dry_run(path, (), interpreter=(str(PYTHON),), environment=environment, unconfined=True)


@pytest.mark.parametrize(
    ("data", "samples", "shape"),
    [
        ('data = datasets.MNIST("data", train=True, download=True, transform=seen)', 60000, [1, 32, 32]),
        ('data = datasets.CIFAR10(root="data", train=False, transform=seen)', 10000, [3, 32, 32]),
        ('data = datasets.SVHN("data", split="extra", transform=seen)', 531131, [3, 32, 32]),
        ('data = datasets.Flowers102("data", split="val", transform=seen)', 1020, [3, 32, 32]),
    ],
)
def test_a_data_set_that_is_not_here_has_its_known_size(
    tmp_path: Path, data: str, samples: int, shape: list[int]
) -> None:
    """Its number of samples and their shape stand for it, the note says so, and nothing is written."""
    found = run(tmp_path, data)

    assert "end" == found.ended, found.notes
    assert {"train_samples": samples, "epochs": 6, "input_shape": shape}.items() <= found.phases[0].items()
    assert any("is not on this machine" in note for note in found.notes)
    assert ["train.py"] == [path.name for path in tmp_path.iterdir()]


def test_the_size_of_a_folder_that_is_not_here_stays_unknown(tmp_path: Path) -> None:
    """How many images the user's folder will hold is not guessed; the network and the epochs are known without them."""
    found = run(tmp_path, 'data = datasets.ImageFolder("photos", transform=seen)')
    facts = found.phases[-1]

    assert "end" == found.ended
    assert set() == {"train_samples", "validation_samples", "steps", "seen_samples"} & set(facts)
    assert (6, 100, 30730) == (facts["epochs"], facts["batch_size"], facts["parameters"])


def test_a_folder_that_says_which_data_set_it_is_has_its_published_size(tmp_path: Path) -> None:
    """By its path, such as ``imagenet/train``; the source says so."""
    found = run(tmp_path, 'data = datasets.ImageFolder("/data/imagenet/train", transform=seen)')
    facts = found.phases[-1]

    assert 1281167 == facts["train_samples"]
    assert "train_samples" in facts["published"]


def test_a_failure_between_epochs_leaves_the_length_unknown(tmp_path: Path) -> None:
    """How many epochs were gone through before a mistake is not how many there are."""
    found = run(tmp_path, 'data = datasets.MNIST("data", transform=seen)', 'open("labels.txt")')

    assert "FileNotFoundError" in found.ended
    assert 100 == found.phases[0]["batch_size"]
    assert not {"epochs", "steps", "seen_samples"} & found.phases[0].keys()
