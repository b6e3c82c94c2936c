"""Operator mixes by a network's kind and name."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from advisor.prediction import mix
from advisor.prediction.features import network_key
from advisor.prediction.mix import mix_of


@pytest.mark.parametrize(
    ("name", "share"),
    [("vgg16_bn", "convolution"), ("ResNet-18", "convolution"), ("MobileNetV2", "pointwise"), ("vit_b_16", "matrix")],
)
def test_a_family_is_known_by_its_name(name: str, share: str) -> None:
    """The kind that a family's FLOPs are mostly of."""
    assert getattr(mix_of("image", network_key(name)), share) > 0.8


def test_depthwise_networks_of_any_name_are_known_by_their_activations() -> None:
    """Many activations for few FLOPs are what depthwise convolutions leave."""
    assert 0 == mix_of("image", "ours", 0.004).depthwise
    assert mix_of("image", "ours", 0.03).depthwise > 0.1


def test_shares_of_every_family_are_shares() -> None:
    """No family has more FLOPs than all; medians of shares need not sum up to one."""
    with Path(mix.__file__).with_name("operator_mixes.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            total = sum(float(row[name]) for name in ("convolution", "pointwise", "grouped", "matrix"))
            assert 0.8 < total < 1.02, row["prefix"]
