"""Counts transformers by their dimensions, as inspection's dry run counts them: one text, a multiply-accumulate as two.

Encoders are Hugging Face's BERT for masked words; decoders are GPT and Llama, by whether their inner layers are gated.
"""

from __future__ import annotations

from dataclasses import dataclass

_ENCODER_WORDS = 30522
_KERNELS_OF_A_LAYER, _OTHER_KERNELS = 9, 9


@dataclass(frozen=True, slots=True)
class Transformer:
    """What the network holds and costs, for one text."""

    parameters: int
    forward_flops: int
    activation_elements: int
    layers: int


def encoder(depth: int, width: int, tokens: int, between: int = 3072) -> Transformer:
    """A BERT of this depth and width on texts of so many tokens, which are also all that it has positions for."""
    projections = 4 * width * width + 2 * width * between
    embeddings = (_ENCODER_WORDS + tokens + 1 + 2) * width
    layer = projections + 9 * width + between  # biases, and two normalisations
    head = width * width + 3 * width + _ENCODER_WORDS
    per_token = 2 * (depth * projections + width * width + width * _ENCODER_WORDS)
    return Transformer(
        parameters=embeddings + depth * layer + head,
        forward_flops=tokens * (per_token + 4 * tokens * width * depth),
        activation_elements=tokens * (_ENCODER_WORDS + 6 * width + depth * (2 * between + 7 * width)) + width,
        layers=_KERNELS_OF_A_LAYER * depth + _OTHER_KERNELS,
    )


def decoder(  # noqa: PLR0917 (a network's dimensions, in the order in which they are published)
    depth: int, width: int, tokens: int, words: int, between: int, keys: int | None = None, *, gated: bool = False
) -> Transformer:
    """A causal language model; ``keys`` is the width of its keys and values where heads share them."""
    keys = keys or width
    inner = (3 if gated else 2) * width * between
    projections = 2 * width * width + 2 * width * keys + inner
    per_token = 2 * (depth * projections + width * words)
    outputs = 5 * width + 2 * keys + (3 if gated else 2) * between  # of a layer, normalisations among them
    return Transformer(
        parameters=depth * (projections + 2 * width) + (2 if gated else 1) * words * width,
        forward_flops=tokens * (per_token + 4 * tokens * width * depth),
        activation_elements=tokens * (words + 2 * width + depth * outputs),
        layers=_KERNELS_OF_A_LAYER * depth + _OTHER_KERNELS,
    )
