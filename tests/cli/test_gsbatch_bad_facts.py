"""Absurd facts and unknown GPUs, through the command: a clear error or a wide interval, never a silent number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.gsbatch_calls import CLUSTER, Gsbatch, facts_without, make_gsbatch
from tests.fakes.fake_sbatch import install_fake_sbatch

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "datacentre.toml"


@pytest.fixture
def gsbatch(tmp_path: Path) -> Gsbatch:
    """A gsbatch whose sbatch must not be called."""
    install_fake_sbatch(tmp_path / "bin")
    return make_gsbatch(tmp_path)


@pytest.mark.parametrize(
    "stated",
    [
        "batch_size=0", "batch_size=-32", "train_samples=-5", "forward_flops_per_sample=1e30",
        "forward_flops_per_sample=nan", "parameters=1e15", "epochs=inf",
    ],
)  # fmt: skip
def test_absurd_facts_are_errors_that_name_the_fact(gsbatch: Gsbatch, stated: str) -> None:
    """No training has such a number: nothing is printed as advice, and one line says which fact and what to give."""
    name = stated.split("=", maxsplit=1)[0]

    done = gsbatch("--json", "--inventory", str(EXAMPLE), *facts_without(name), "--set", stated, "train.py")

    assert done.returncode != 0
    assert "" == done.stdout
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_a_gpu_of_no_catalogue_is_ranked_with_low_confidence(gsbatch: Gsbatch) -> None:
    """Its rates are typical ones: where all else is known, the interval says that any of them may be far off."""
    whole = ("model_name=resnet50", "input_shape=224x224x3", "batch_size=64", "epochs=2", "train_samples=10000")
    facts = [word for fact in (*whole, "framework=pytorch") for word in ("--set", fact)]
    inventory = gsbatch.folder / "unknown.toml"
    inventory.write_text(CLUSTER.replace("gpu:gtx1080ti:1", "gpu:mystery9000:1"))

    advice = json.loads(gsbatch("--json", "--no-probe", "--inventory", str(inventory), *facts, "train.py").stdout)
    found = {item["gpu_model"]: item for item in advice["placements"]}
    ratio = {name: item["energy_j"]["high"] / item["energy_j"]["low"] for name, item in found.items()}

    assert "low" == found["mystery9000"]["confidence"]
    assert all(ratio["mystery9000"] > other for name, other in ratio.items() if name != "mystery9000")
