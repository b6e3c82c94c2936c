"""Counts Hugging Face's BERT for masked words at any depth and width, as inspection's dry run counts it.

The published program (MansMayaki/MLEnergyConsumption, src/Bert_models.py) sets depth, width and heads and leaves the
rest of ``BertConfig`` as it is: 30,522 words, 3,072 wide between the layers, one kind of token.
"""

from __future__ import annotations

from dataclasses import dataclass

_WORDS, _BETWEEN = 30522, 3072
_KERNELS_OF_A_LAYER, _OTHER_KERNELS = 9, 9


@dataclass(frozen=True, slots=True)
class Bert:
    """What the network holds and costs, for one text; FLOPs count a multiply-accumulate as two."""

    parameters: int
    forward_flops: int
    activation_elements: int
    layers: int


def bert(depth: int, width: int, tokens: int) -> Bert:
    """Count a BERT of this depth and width on texts of so many tokens, which are also all that it has positions for."""
    projections = 4 * width * width + 2 * width * _BETWEEN
    embeddings = (_WORDS + tokens + 1 + 2) * width
    layer = projections + 9 * width + _BETWEEN  # biases, and two normalisations
    head = width * width + 3 * width + _WORDS
    per_token = 2 * (depth * projections + width * width + width * _WORDS)
    return Bert(
        parameters=embeddings + depth * layer + head,
        forward_flops=tokens * (per_token + 4 * tokens * width * depth),
        activation_elements=tokens * (_WORDS + 6 * width + depth * (2 * _BETWEEN + 7 * width)) + width,
        layers=_KERNELS_OF_A_LAYER * depth + _OTHER_KERNELS,
    )
