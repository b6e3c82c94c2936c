"""Networks that scripts take by name, with the published figures of each: what is known without building one.

The table is written by docs/data/known_models.py. FLOPs are given for one input size; a convolutional network's go with
the area of the image, a transformer's with the length of the text, its attention with the square of it.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.inspection.reading.found import chosen, is_optimizer, last_name
from advisor.inspection.reading.values import UNKNOWN, Call, Instance, Made, Value, plain
from advisor.inspection.workload import Fact, Source

_TABLE = Path(__file__).with_name("known_models.csv")
_PUBLISHED_CLASSES = 1000
_HEADS = frozenset({"fc", "classifier", "head", "heads", "last_linear"})
_NAME_FIRST = {"timm.create_model": "torchvision", "torchvision.models.get_model": "torchvision"}


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One line of the table.

    ``size`` is the image's side or the text's length that ``forward_flops`` are for; ``attention_flops`` times the
    length squared is the part of them that grows so; ``width`` is what the head reads. ``activation_elements`` are
    those of all ``layers``' outputs for one sample of that size.
    """

    family: str
    name: str
    parameters: int
    forward_flops: float
    size: int
    attention_flops: float
    width: int
    layers: int
    activation_elements: int

    def flops_at(self, size: int) -> float:
        """Forward FLOPs for another side or length."""
        if self.attention_flops:
            for_each_token = (self.forward_flops - self.attention_flops * self.size**2) / self.size
            return for_each_token * size + self.attention_flops * size**2
        return self.forward_flops * (size / self.size) ** 2

    def activations_at(self, size: int) -> float:
        """Activations of one sample for another side or length."""
        return self.activation_elements * (size / self.size) ** (1 if self.attention_flops else 2)


@functools.cache
def known_models() -> Mapping[tuple[str, str], KnownModel]:
    """The table, by family and name in small letters."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return {(row["family"], row["name"].lower()): _model(row) for row in csv.DictReader(file)}


@functools.cache
def _names() -> frozenset[str]:
    return frozenset(name for _family, name in known_models())


def is_model_name(name: str) -> bool:
    """Whether a function or class of this name may make one of the table's networks."""
    return name.lower() in _names()


def named_model(name: str) -> KnownModel | None:
    """The network that goes by this name, case, punctuation and owner aside: ``ResNet-50``, ``bert-base``."""
    key = _key(name)
    return _by_key().get(key) or _by_key().get(f"{key}uncased")


@functools.cache
def _by_key() -> Mapping[str, KnownModel]:
    return {_key(model.name): model for model in reversed(list(known_models().values()))}


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.rpartition("/")[2].lower())


def _model(row: Mapping[str, str]) -> KnownModel:
    return KnownModel(
        family=row["family"],
        name=row["name"],
        parameters=int(row["parameters"]),
        forward_flops=float(row["forward_flops"]),
        size=int(row["size"]),
        attention_flops=float(row["attention_flops"] or 0),
        width=int(row["width"] or 0),
        layers=int(row["layers"]),
        activation_elements=int(row["activation_elements"]),
    )


def known_facts(calls: Sequence[Call]) -> dict[str, Fact[Any]]:
    """What the table says of the one well-known network that a script makes; nothing where it makes several."""
    made = [(model, call.made) for call in calls if (model := _recognised(call.made)) is not None]
    if len({(model.family, model.name) for model, _ in made}) != 1 or not _may_be_trained(made[0][1], calls):
        return {}
    model, call = made[0]
    found: dict[str, Fact[Any]] = {"model_name": Fact(model.name.rpartition("/")[2], Source.TABLE)}
    if call.attributes.keys() - _HEADS:  # other layers than the head were put in
        return found
    parameters = _parameters(model, call)
    if parameters is not None:
        found["parameters"] = Fact(parameters, Source.TABLE)
    size = _size(model, call, calls)
    if isinstance(size, int) and size > 0:
        found["forward_flops_per_sample"] = Fact(float(model.flops_at(int(size))), Source.TABLE)
    return found


def _may_be_trained(made: Made, calls: Sequence[Call]) -> bool:
    """Whether an optimizer may be given this network's parameters: a frozen one may only judge another's output."""
    given = [call.made.args[0] for call in calls if is_optimizer(call.made) and call.made.args]
    owners = [_inner(item.receiver) for item in given if isinstance(item, Made) and item.name == ".parameters"]
    is_known = [
        isinstance(owner, Instance) or (isinstance(owner, Made) and owner.origin is not None) for owner in owners
    ]
    return not all(is_known) or not owners or any(_origin(owner) is made.origin for owner in owners)


def _origin(value: Value) -> object:
    return value.origin if isinstance(value, Made) else None


def _inner(value: Value) -> Value:
    """The network inside of ``DistributedDataParallel`` and the like."""
    while isinstance(value, Made) and last_name(value).endswith("Parallel") and value.args:
        value = value.args[0]
    return value


def _recognised(made: Made) -> KnownModel | None:
    first, last = plain(made.args[0]) if made.args else None, last_name(made)
    key: tuple[str, Value] | None = None
    if made.name.startswith("keras.applications."):
        key = ("keras", last)
    elif made.name in _NAME_FIRST:
        key = (_NAME_FIRST[made.name], first)
    elif made.name.startswith("torchvision.models."):
        key = ("torchvision", last)
    elif made.name == "torch.hub.load":
        key = ("torchvision", plain(made.word("model", 1)))
    elif _is_pretrained(made):
        key = ("huggingface", first)
    return known_models().get((key[0], key[1].lower())) if key is not None and isinstance(key[1], str) else None


def _is_pretrained(made: Made) -> bool:
    """``AutoModel.from_pretrained``, ``BertForSequenceClassification.from_pretrained`` and the like."""
    parts = made.name.split(".")
    return (
        parts[0] == "transformers" and parts[-1] == "from_pretrained" and ("Model" in parts[-2] or "For" in parts[-2])
    )


def _parameters(model: KnownModel, made: Made) -> int | None:
    """The published number, with the head that the script asks for; None where its size cannot be told."""
    if model.family == "huggingface":
        return model.parameters
    if model.family == "keras":
        whole = (
            made.word("include_top", 0, default=True) is True
            and made.word("classes", default=1000) == _PUBLISHED_CLASSES
        )
        return model.parameters if whole else None
    heads = [value for value in made.attributes.values() if isinstance(value, Made) and last_name(value) == "Linear"]
    classes = heads[0].word("out_features", 1) if heads else made.word("num_classes", default=_PUBLISHED_CLASSES)
    if not isinstance(classes, int):
        return None
    return model.parameters + (int(classes) - _PUBLISHED_CLASSES) * (model.width + 1)


def _size(model: KnownModel, made: Made, calls: Sequence[Call]) -> Value:
    """The side of the images or the length of the texts, UNKNOWN where the source does not say."""
    if model.family == "keras":
        shape = made.word("input_shape")
        if shape is None:
            return (
                model.size
                if made.word("include_top", 0, default=True) is True and made.word("input_tensor") is None
                else UNKNOWN
            )
        return shape[0] if isinstance(shape, tuple | list) and shape and shape[0] == shape[1] else UNKNOWN
    if model.family == "huggingface" and model.attention_flops:
        padded = [call.made for call in calls if call.made.word("padding") == "max_length"]
        return chosen(item.word("max_length", default=UNKNOWN) for item in padded) or UNKNOWN
    crops = [call.made for call in calls if last_name(call) in {"RandomResizedCrop", "CenterCrop", "RandomCrop"}]
    sides = [item.word("size", 0, UNKNOWN) for item in crops]
    return chosen(side[0] if isinstance(side, tuple | list) and side else side for side in sides) or UNKNOWN
