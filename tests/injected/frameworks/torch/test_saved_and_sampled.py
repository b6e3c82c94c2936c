"""Scripts that save their weights with safetensors, and look at samples of a diffusion model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from advisor.inspection.dry_run import DryRun, dry_run
from tests.capabilities import frameworks_python

PYTHON = frameworks_python("torch", "safetensors")
pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="needs tests/frameworks.sh's interpreter with PyTorch and safetensors"
)

SCRIPT = """
import os
import torch
from torch import nn
{before}
model = nn.Linear(8, 8)
data = torch.utils.data.TensorDataset(torch.randn(50, 8))
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(4):
    for (x,) in torch.utils.data.DataLoader(data, batch_size=10):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x).backward()
        optimizer.step()
    {after_an_epoch}
"""
IMPORT = """
from safetensors.torch import load_file, save_file, save_model
os.makedirs("out", exist_ok=True)
"""
SAVE = """
    save_file(model.state_dict(), "out/model.safetensors")
    save_model(model, "out/again.safetensors")
    assert os.path.exists("out/again.safetensors")
    model.load_state_dict(load_file("out/model.safetensors"))
"""
# Of the layout of diffusers, which is too large to be installed for this.
PIPELINES = """
import torch
class DiffusionPipeline:
    pass
class Pipeline(DiffusionPipeline):
    def __init__(self, model):
        self.model = model
    @torch.no_grad()
    def __call__(self, batch_size=1, num_inference_steps=1000):
        image = torch.randn(batch_size, 8)
        for _ in range(num_inference_steps):
            image = self.model(image)
            with open("passes", "a") as file:
                file.write("1")
        return image
"""
SAMPLE = """
    open("passes", "w").close()
    assert Pipeline(model)(batch_size=16).shape == (16, 8)
    assert os.path.getsize("passes") < 5
"""


def run(tmp_path: Path, before: str, after_an_epoch: str) -> DryRun:
    """A dry run of the script."""
    path = tmp_path / "train.py"
    path.write_text(SCRIPT.format(before=before, after_an_epoch=after_an_epoch.strip()), encoding="utf-8")
    return dry_run(path, (), interpreter=(str(PYTHON),), environment=dict(os.environ), unconfined=True)


def test_weights_are_saved_as_far_as_a_script_can_see(tmp_path: Path) -> None:
    """Saving and loading end no training, though files of compiled code cannot be redirected."""
    found = run(tmp_path, IMPORT, SAVE)

    (facts,) = found.phases
    assert ("end", 20, 50) == (found.ended, facts["steps"], facts["train_samples"])
    assert not (tmp_path / "out").exists()


def test_samples_of_a_diffusion_model_are_drawn_in_few_steps(tmp_path: Path) -> None:
    """They are neither training nor validation, and do not take the time of a dry run."""
    folder = tmp_path / "diffusers" / "pipelines"
    folder.mkdir(parents=True)
    (tmp_path / "diffusers" / "__init__.py").touch()
    (folder / "__init__.py").touch()
    head, _, tail = PIPELINES.partition("class Pipeline(")
    (folder / "pipeline_utils.py").write_text(head, encoding="utf-8")
    own = "from .pipeline_utils import DiffusionPipeline\nimport torch\nclass Pipeline(" + tail
    (folder / "ddpm.py").write_text(own, encoding="utf-8")

    found = run(tmp_path, "from diffusers.pipelines.ddpm import Pipeline", SAMPLE)

    (facts,) = found.phases
    assert ("end", 20, 0) == (found.ended, facts["steps"], facts["validation_samples"])
