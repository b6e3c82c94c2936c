"""What stands in for facts that nobody gave."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from advisor import training
from advisor.prediction.filled import filled_facts
from tests.prediction.workloads import workload

NETWORK_FACTS = Path(training.__file__).with_name("network_facts.csv")


@pytest.mark.parametrize(
    ("name", "shape", "flops"),
    [
        ("resnet50", (224, 224, 3), 8.18e9),
        ("bert-base", (512,), 9.66e10),
        ("ResNet-50", (112, 112, 3), 8.18e9 / 4),
        ("resnet50", (1, 224, 224), 8.18e9),
    ],
)
def test_a_well_known_name_says_the_flops(name: str, shape: tuple[int, ...], flops: float) -> None:
    """A network of the table is not guessed at, and what the table says is not called unknown."""
    found = filled_facts(workload(model_name=name, input_shape=shape))

    assert flops == pytest.approx(found.forward_flops, rel=0.02)
    assert {"batch_size", "train_samples"} == set(found.unknown)


def test_guesses_of_image_networks_are_right_on_average() -> None:
    """Over networks that were counted, FLOPs and activations guessed from the parameters err to neither side."""
    off = []
    with NETWORK_FACTS.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            side = int(row["input_size"])
            found = filled_facts(workload(parameters=int(row["parameters"]), input_shape=(side, side, 3)))
            counted = float(row["forward_flops"]), float(row["activation_elements"])
            off.append(np.log(np.divide((found.forward_flops, found.activation_elements), counted)))

    assert (np.abs(np.median(off, axis=0)) < 0.2).all()
    assert (np.std(off, axis=0) < 0.8).all()


@pytest.mark.parametrize(
    ("facts", "flops"),
    [
        ({"model_name": "ourgpt", "parameters": 10**9, "input_shape": (1024,)}, 2.0 * 10**9 * 1024),
        ({"model_name": "ours", "parameters": 10**5, "input_shape": (30,)}, 2.0 * 10**5),
        ({"model_name": "neumf", "parameters": 10**8, "input_shape": (2,)}, 6e6),
    ],
)
def test_a_parameter_counts_as_often_as_its_kind_uses_it(facts: dict[str, object], flops: float) -> None:
    """In a sequence once a token, in rows of features once a sample, in a recommender's embeddings hardly ever."""
    assert flops == filled_facts(workload(**facts)).forward_flops
