"""A workload's numbers with every gap filled: from the table of well-known networks, else by what is typical.

What stands in for a fact that nobody gave is named in ``unknown``; ``gaps.py`` widens intervals by what it may be off.
The proportions are fitted to the networks of the prior data (network_facts.csv, 191 image networks): their standard
deviations stand with them in ``GUESSED``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from advisor.inspection.known_models import named_model
from advisor.inspection.workload import Workload

_TYPICAL_PARAMETERS = 2.3e7
_TYPICAL_LAYERS = 150.0
_TYPICAL_INPUT_ELEMENTS = 150528.0
_TYPICAL_BATCH_SIZE = 32.0
_TYPICAL_TRAIN_SAMPLES = 50000.0
_TYPICAL_TOKENS = 512.0
# FLOPs for each parameter and side^1.5: between the 1.9th power of side that networks made for 224 pixels show, and
# those for 32 pixels, which keep their images large. Activations for each side and root of FLOPs.
_IMAGE_FLOPS = 0.1
_IMAGE_ACTIVATIONS = 1.6
# Elements for each token and root of (parameters x layers), which goes as width x layers: 16 vectors of its width in
# each block of twelve layers, which hold 12 x width squared parameters.
_SEQUENCE_ACTIVATIONS = 1.4
_LARGE_LANGUAGE_MODEL = 5e8  # parameters; smaller ones are frozen to train a new head, larger ones to train adapters
_RECOMMENDER_FLOPS = 6.0e6
_RECOMMENDER_LAYERS = 30.0
_PERCEPTRON_LAYERS = 10.0

# The columns that a guessed fact stands in, and by how much it may be off (standard deviation of the logarithm).
GUESSED: dict[str, tuple[tuple[str, ...], float]] = {
    "parameters": (("parameters",), 1.0),
    "forward_flops_per_sample": (("forward_flops", "training_flops"), 0.8),
    "layers": (("layers",), 0.8),
    "activation_elements": (("activation_elements",), 0.8),
    "input_shape": (("input_elements",), 1.0),
    "batch_size": (("batch_size",), 1.0),
    "gpu peak_fp32": (("fp32", "peak"), 0.7),
    "gpu memory_bandwidth": (("bandwidth",), 0.4),
}
# Guesses that are made from other guesses are off together with them.
FOLLOWS = {
    "parameters": ("forward_flops_per_sample",),
    "forward_flops_per_sample": ("activation_elements",),
    "gpu peak_fp32": ("gpu memory_bandwidth",),
}

# Short names only as words of their own: "t5" is also in "resnet50".
_SEQUENCE_NAMES = re.compile(
    r"bert|gpt|llama|transformer|mistral|lstm|bloom|qwen|mamba|falcon|gemma|seq2seq"
    r"|(?<![a-z0-9])(?:m?t5|flan|gru|opt|phi|rnn)(?![a-z0-9])"
)
_RECOMMENDERS = re.compile(r"dlrm|ncf|neumf|wide_?deep|deepfm|recommend|matrix_?factor|two_?tower|dcn")


@dataclass(frozen=True, slots=True)
class Work:
    """How much a run trains on: samples in an epoch and epochs, None where not known; ``from_steps`` where counted so.

    Epochs are a fraction where the steps end within one.
    """

    epoch_samples: float | None
    epochs: float | None
    from_steps: bool


def work_of(workload: Workload) -> Work:
    """The work of a run: epochs and samples where both are known, else what its steps make up for.

    A run of steps alone, such as over a stream, is one epoch. Each step sees a batch as often as gradients are
    accumulated.
    """
    samples, epochs = workload.train_samples.value, workload.epochs.value
    steps, batch_size = workload.steps.value, workload.batch_size.value
    if (samples and epochs) or not steps or not batch_size:
        return Work(samples, epochs, from_steps=False)
    seen = float(steps) * batch_size * (workload.gradient_accumulation.value or 1)
    if samples:
        return Work(samples, seen / samples, from_steps=True)
    return Work(seen / (epochs or 1), epochs or 1, from_steps=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """The workload's numbers, each known or filled in, and the names of those filled in."""

    batch_size: float
    train_samples: float
    parameters: float
    trainable_share: float
    forward_flops: float
    training_flops: float
    layers: float
    activation_elements: float
    input_elements: float
    kind: str
    unknown: tuple[str, ...]


def filled_facts(workload: Workload) -> Filled:
    """Fill every gap of a workload."""
    unknown: list[str] = []

    def known(name: str, value: float | None, otherwise: float) -> float:
        if value:
            return float(value)
        unknown.append(name)
        return otherwise

    name = (workload.model_name.value or "").lower()
    kind = _kind(workload, name)
    published = named_model(name)
    shape = workload.input_shape.value
    input_elements = known("input_shape", math.prod(shape) if shape else None, _TYPICAL_INPUT_ELEMENTS)
    tokens = float(shape[0]) if shape else _TYPICAL_TOKENS
    # Channels first or last, grey or coloured: an image is as large as its two longest sides.
    side = math.sqrt(math.prod(sorted(shape)[-2:]) if shape and len(shape) > 2 else input_elements / 3.0)  # noqa: PLR2004
    whole = workload.parameters.value or (published.parameters if published else None)
    parameters = known("parameters", whole, _TYPICAL_PARAMETERS)
    flops: float | None = workload.forward_flops_per_sample.value
    kept: float | None = workload.activation_elements.value
    if published:
        size = round(tokens if kind == "sequence" else side)
        # A network of the same name that does more at this size keeps its images larger, in proportion.
        larger = flops / published.flops_at(size) if flops and kind == "image" else 1.0
        flops, kept = flops or published.flops_at(size), kept or published.activations_at(size) * larger
    guess = {
        "sequence": 2.0 * parameters * tokens,
        "image": _IMAGE_FLOPS * parameters * side**1.5,
        "table": 2.0 * parameters,
        # Its parameters are embeddings that are looked up, not multiplied.
        "recommender": min(2.0 * parameters, _RECOMMENDER_FLOPS),
    }[kind]
    forward = known("forward_flops_per_sample", flops, guess)
    counted = workload.layers.value or (published.layers if published else None)
    layers = known("layers", counted, _layers(kind, parameters))
    activations = known(
        "activation_elements", kept,
        # A sequence model keeps some dozen vectors of its width for each layer and token.
        _SEQUENCE_ACTIVATIONS * math.sqrt(parameters * layers) * tokens if kind == "sequence"
        else _IMAGE_ACTIVATIONS * math.sqrt(forward) * side if kind == "image"
        else math.sqrt(forward * layers),
    )  # fmt: skip
    trainable = workload.trainable_parameters.value
    share = 1.0 if trainable is None or not workload.parameters.value else min(trainable / workload.parameters.value, 1)
    # Forward once, backward twice (inputs and weights); a frozen backbone needs no backward pass below its top.
    passes = 3.0 if share > 0.5 else 1.0 + 2.0 * share  # noqa: PLR2004
    if share <= 0.5 and kind == "sequence" and parameters > _LARGE_LANGUAGE_MODEL:  # noqa: PLR2004
        passes += 1.0  # adapters sit in every layer: gradients pass through all that is frozen
    if workload.activation_checkpointing.value and kind == "sequence":
        passes += 1.0  # activations that were not kept are computed once more
    return Filled(
        batch_size=known("batch_size", workload.batch_size.value, _TYPICAL_BATCH_SIZE),
        train_samples=known("train_samples", work_of(workload).epoch_samples, _TYPICAL_TRAIN_SAMPLES),
        parameters=parameters,
        trainable_share=share,
        forward_flops=forward,
        training_flops=workload.training_flops_per_sample.value or forward * passes,
        layers=layers,
        activation_elements=float(activations),
        input_elements=input_elements,
        kind=kind,
        unknown=tuple(unknown),
    )


def _layers(kind: str, parameters: float) -> float:
    if kind == "sequence":
        return _TYPICAL_LAYERS * float((parameters / 1e8) ** 0.35)
    return {"recommender": _RECOMMENDER_LAYERS, "table": _PERCEPTRON_LAYERS}.get(kind, _TYPICAL_LAYERS)


def _kind(workload: Workload, name: str) -> str:
    """``sequence``, ``image``, ``recommender``, or ``table``: rows of plain features."""
    if _RECOMMENDERS.search(name):
        return "recommender"
    if _is_sequence(workload, name):
        return "sequence"
    shape = workload.input_shape.value
    return "table" if shape is not None and len(shape) < 3 else "image"  # noqa: PLR2004


def _is_sequence(workload: Workload, name: str) -> bool:
    """Whether samples are token sequences: by the model's name, else by what a parameter is used for."""
    shape = workload.input_shape.value
    if _SEQUENCE_NAMES.search(name):
        return True
    if shape is None or len(shape) > 2:  # noqa: PLR2004 (tokens, or tokens x features)
        return False
    flops, parameters = workload.forward_flops_per_sample.value, workload.parameters.value
    if flops and parameters:
        # In a sequence each parameter multiplies once a token; in a table of features once a sample.
        return bool(flops > 6 * parameters)
    return len(shape) == 2  # noqa: PLR2004
