"""What a network's operators are: of which kinds its FLOPs, how much it does element by element, how many kernels.

Two networks of equal FLOPs and activations differ in how well a GPU runs them: 3x3 convolutions save multiplications by
Winograd's transform, grouped and depthwise ones leave units idle, concatenations and sums only move data. The table
holds the medians of counted networks by the beginning of their names; it is written by docs/data/operator_mixes.py.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

_TABLE = Path(__file__).with_name("operator_mixes.csv")
_LONGEST_PREFIX = 20


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of forward FLOPs by kind, and proportions to other facts.

    ``convolution``, ``pointwise`` (1x1), ``grouped`` and ``matrix`` (products) are shares of the FLOPs.
    ``depthwise`` is the outputs of depthwise convolutions over all layers' outputs, ``elementwise`` those of what is
    neither a convolution, a product nor a normalisation; ``kernels`` is the number of operators for each layer.
    """

    convolution: float
    pointwise: float
    grouped: float
    matrix: float
    depthwise: float
    elementwise: float
    kernels: float


# Of a transformer for texts (counted: GPT-2 and BERT), and of rows of features: layers of products with activations.
_SEQUENCE = Mix(0.0, 0.0, 0.0, 1.0, 0.0, 0.8, 1.75)
_ROWS = Mix(0.0, 0.0, 0.0, 1.0, 0.0, 0.6, 1.3)
# The median over the families of image networks.
_IMAGE = Mix(0.50, 0.45, 0.03, 0.0, 0.0, 0.65, 1.6)


@functools.cache
def _families() -> dict[str, Mix]:
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return {
            row["prefix"]: Mix(*(float(row[name]) for name in list(row)[1:8])) for row in csv.DictReader(file)
        }  # fmt: skip


# Of image networks with many activations for their FLOPs: those of depthwise convolutions have three times as many.
_LEAN = Mix(0.04, 0.87, 0.0, 0.0, 0.17, 0.6, 2.0)
_LEAN_ABOVE = 0.013


def mix_of(kind: str, network: str, activations_by_flops: float = 0.0) -> Mix:
    """The mix of a network by its kind and name (small letters and digits): of its family where that is known.

    Of an image network of another name, activations for each FLOP tell those of depthwise convolutions.
    """
    if kind == "sequence":
        return _SEQUENCE
    if kind != "image":
        return _ROWS
    return _family(network) or (_LEAN if activations_by_flops > _LEAN_ABOVE else _IMAGE)


@functools.cache
def _family(network: str) -> Mix | None:
    families = _families()
    for length in range(min(len(network), _LONGEST_PREFIX), 2, -1):
        found = families.get(network[:length])
        if found is not None:
            return found
    return None
