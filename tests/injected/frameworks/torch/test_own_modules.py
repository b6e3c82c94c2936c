"""Files of the script's own that are named like packages which the dry run knows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from advisor.inspection.dry_run import dry_run
from tests.capabilities import frameworks_python

PYTHON = frameworks_python("torch")
pytestmark = pytest.mark.skipif(PYTHON is None, reason="needs tests/frameworks.sh's interpreter with PyTorch")

SCRIPT = """
import torch
from datasets import data
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(3):
    for x, y in torch.utils.data.DataLoader(data, batch_size=5):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    from evaluate import score
    score(model)
"""
DATASETS = """
import torch
data = torch.utils.data.TensorDataset(torch.randn(40, 4), torch.zeros(40, dtype=torch.long))
"""


def test_a_file_named_like_a_package_is_no_package(tmp_path: Path) -> None:
    """``datasets.py`` and ``evaluate.py`` beside a script are its own: it is described whole, without a complaint."""
    (tmp_path / "datasets.py").write_text(DATASETS, encoding="utf-8")
    (tmp_path / "evaluate.py").write_text("def score(model):\n    return 0.5\n", encoding="utf-8")
    path = tmp_path / "train.py"
    path.write_text(SCRIPT, encoding="utf-8")

    found = dry_run(path, (), interpreter=(str(PYTHON),), environment=dict(os.environ), unconfined=True)

    (facts,) = found.phases
    assert (24, 3, 40) == (facts["steps"], facts["epochs"], facts["train_samples"])
    assert [] == [note for note in found.notes if "not understood" in note]
