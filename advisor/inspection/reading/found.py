"""What the readers of a walk have in common: facts of values, and the calls that say optimizer and precision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from advisor.inspection.frameworks import PACKAGES, TRAINING
from advisor.inspection.reading.values import UNKNOWN, Branch, Call, Made, Value, plain, source_of
from advisor.inspection.workload import Fact, Source

_OPTIMIZERS = frozenset(
    {"sgd", "adam", "adamw", "adamax", "nadam", "radam", "rmsprop", "adagrad", "adadelta", "adafactor", "lamb", "lion",
     "ftrl", "lbfgs", "asgd", "rprop", "sparseadam", "adam8bit", "adamw8bit", "lars", "novograd", "adabelief", "sophia"}
)  # fmt: skip
LIGHTNING = PACKAGES["lightning"]
HUGGING_FACE = PACKAGES["transformers"] | PACKAGES["trl"]
_OPTIMIZER_HOMES = TRAINING | {"optax", "bitsandbytes", "apex", "deepspeed"}


@dataclass
class Found:
    """Facts and sentences for the user."""

    facts: dict[str, Fact[Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def say(self, name: str, value: Value, source: Source | None = None) -> None:
        """Keep a fact, if it is one: unknown and senseless values are passed over, and nothing is said twice."""
        if name in self.facts or not isinstance(value, int | float | str | tuple) or isinstance(value, bool):
            return
        if isinstance(value, int | float) and value < (0 if name in {"loader_workers", "validation_samples"} else 1):
            return
        self.facts[name] = Fact(plain(value), source or source_of(value))

    def value(self, name: str) -> Any:
        """The value of a fact, None where it is not known."""
        return self.facts[name].value if name in self.facts else None


def last_name(call: Call | Made) -> str:
    """The last part of a callee's name."""
    return call.name.rpartition(".")[2]


def is_of(call: Call | Made, *roots: str) -> bool:
    """Whether a call is of one of these packages."""
    return call.name.split(".")[0] in roots


def chosen(values: Iterable[Value]) -> Value:
    """The one value that all agree on, UNKNOWN where they differ, None where there is none."""
    found = list(values)
    if not found:
        return None
    return found[0] if all(plain(item) == plain(found[0]) for item in found) else UNKNOWN


def certain(calls: Sequence[Call]) -> list[Call]:
    """Calls that are no alternatives of each other: of two arms of one ``if`` that disagree, neither is certain."""
    arms: dict[int, set[int]] = {}
    for call in calls:
        for branch in call.branches:
            arms.setdefault(branch.node, set()).add(branch.arm)
    return [call for call in calls if not any(len(arms[branch.node]) > 1 for branch in call.branches)]


def every(branches: Sequence[Branch]) -> Value:
    """N where a call is under ``if step % N == 0``, 1 where it is under no such test."""
    return next((branch.every for branch in reversed(branches) if branch.every is not None), 1)


def optimizer_calls(calls: Sequence[Call]) -> list[Call]:
    """The calls that make an optimizer."""
    return [call for call in calls if is_optimizer(call.made)]


def is_optimizer_name(name: str) -> bool:
    """Whether a class of this name may be an optimizer's."""
    return name.lower() in _OPTIMIZERS


def is_optimizer(value: Value) -> bool:
    """Whether a value is an optimizer of a known library."""
    if not isinstance(value, Made):
        return False
    return last_name(value).lower() in _OPTIMIZERS and value.name.split(".")[0] in _OPTIMIZER_HOMES


def optimizer_name(calls: Sequence[Call]) -> Value:
    """The name of the one optimizer that a script makes, UNKNOWN where there are several kinds."""
    return chosen(_name(call.made) for call in optimizer_calls(calls))


def _name(made: Made) -> str:
    return last_name(made).lower()


def torch_precision(calls: Sequence[Call]) -> Value:
    """The precision of a PyTorch training by its autocast, scaler or casts; None where it has none of them."""
    mixed = [call for call in calls if last_name(call) in {"autocast", "GradScaler"} and is_of(call, "torch")]
    on = [call for call in mixed if call.made.word("enabled", default=True) is not False]
    if any(not isinstance(call.made.word("enabled", default=True), bool) for call in on):
        return UNKNOWN
    casts = [call for call in on if last_name(call) == "autocast"]
    kinds = {_dtype(call.made) for call in casts if not any(branch.node for branch in call.branches)}
    if len(kinds) == 1:
        return {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}.get(str(kinds.pop()), UNKNOWN)
    if kinds or casts:
        return UNKNOWN
    return "mixed_float16" if on else None


def _dtype(made: Made) -> str:
    given = made.word("dtype", 1 if made.name.endswith("amp.autocast") and "cuda" not in made.name else None)
    if given is None:
        device = made.word("device_type", 0)
        return "bfloat16" if device == "cpu" else "float16"
    return getattr(given, "name", "?").rpartition(".")[2]
