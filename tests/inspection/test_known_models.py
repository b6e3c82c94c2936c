"""Networks taken by name: their published figures, scaled to what the script asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.inspection.known_models import known_models
from advisor.inspection.source_code import read_source

TORCH = """
import torch, torchvision, transformers
from torchvision.transforms import RandomResizedCrop, CenterCrop
{line}
for epoch in range(2):
    for x in loader:
        model(x).mean().backward()
"""


def table(folder: Path, line: str) -> dict[str, object]:
    """What the table adds to a script with this line."""
    script = folder / "train.py"
    script.write_text(TORCH.format(line=line), encoding="utf-8")
    found = read_source(script, (), environment={}, folder=folder).table
    return {name: fact.value for name, fact in found.items()}


@pytest.mark.parametrize(
    ("line", "parameters"),
    [
        ("model = torchvision.models.resnet50()", 25_557_032),
        ("model = torchvision.models.resnet50(num_classes=10)", 23_528_522),
        ("model = torchvision.models.resnet50()\nmodel.fc = torch.nn.Linear(2048, 10)", 23_528_522),
        ("model = torch.hub.load('pytorch/vision', 'resnet50')", 25_557_032),
    ],
)
def test_parameters_follow_the_head(tmp_path: Path, line: str, parameters: int) -> None:
    """10 classes in place of 1,000 are 990 x (2,048 + 1) parameters less: 23,528,522, as torchvision builds it."""
    found = table(tmp_path, line)

    assert ("resnet50", parameters) == (found["model_name"], found["parameters"])
    assert "forward_flops_per_sample" not in found  # the size of the images is said nowhere


def test_flops_follow_the_image(tmp_path: Path) -> None:
    """A convolutional network's work goes with the area of its images; two sizes leave it unknown."""
    line = "model = torchvision.models.resnet50()\ncrop = {}"
    whole = table(tmp_path, line.format("RandomResizedCrop(224)"))["forward_flops_per_sample"]
    half = table(tmp_path, line.format("CenterCrop((112, 112))"))["forward_flops_per_sample"]

    assert (pytest.approx(8.178e9, rel=0.01), pytest.approx(whole / 4)) == (whole, half)  # type: ignore[operator]
    assert "forward_flops_per_sample" not in table(tmp_path, line.format("CenterCrop(224), RandomResizedCrop(192)"))


def test_two_networks_are_none(tmp_path: Path) -> None:
    """Teacher and pupil: which of them is trained is not for a table to say."""
    assert {} == table(tmp_path, "a = torchvision.models.resnet50()\nb = torchvision.models.resnet18()")


def test_every_line_of_the_table_is_sound() -> None:
    """A network has parameters and work, and its FLOPs at the size they are given for are its own."""
    for model in known_models().values():
        assert model.parameters > 1e6
        assert pytest.approx(model.forward_flops) == model.flops_at(model.size)
        assert 0 < model.attention_flops * model.size**2 < model.forward_flops or not model.attention_flops
