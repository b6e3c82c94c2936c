"""Facts that a person states: ``--set NAME=VALUE`` and ``#GSBATCH --set`` lines, read and checked."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any

from advisor.errors import UsageError
from advisor.inspection.workload import Fact, Source

_PRECISIONS = ("float32", "tf32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64")


def _count(text: str) -> int:
    """A whole number above zero; 25.6e6 and 1_000 are whole numbers too."""
    number = _positive(text)
    if number != int(number):
        raise ValueError("is not a whole number")
    return int(number)


def _count_or_zero(text: str) -> int:
    return 0 if text.strip() == "0" else _count(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("is not a number") from None
    if not math.isfinite(number) or number <= 0:
        raise ValueError("is not above zero")
    return number


def _shape(text: str) -> tuple[int, ...]:
    return tuple(_count(part) for part in text.strip("()[] ").replace("x", ",").split(",") if part.strip())


def _word(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("is empty")
    return text.strip()


def _yes_or_no(text: str) -> bool:
    word = text.strip().lower()
    if word not in {"true", "yes", "1", "false", "no", "0"}:
        raise ValueError("is neither true nor false")
    return word in {"true", "yes", "1"}


def _one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.strip() not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return text.strip()

    return read


READERS: Mapping[str, Callable[[str], Any]] = {
    "framework": _word,
    "model_name": _word,
    "parameters": _count,
    "trainable_parameters": _count_or_zero,
    "forward_flops_per_sample": _positive,
    "training_flops_per_sample": _positive,
    "layers": _count,
    "activation_elements": _count,
    "saved_bytes_per_sample": _count,
    "input_shape": _shape,
    "batch_size": _count,
    "gradient_accumulation": _count,
    "train_samples": _count,
    "validation_samples": _count_or_zero,
    "epochs": _count,
    "optimizer": _word,
    "precision": _one_of(_PRECISIONS),
    "devices": _count,
    "steps": _count,
    "loader_workers": _count_or_zero,
    "data_loading": _one_of(("memory", "streamed")),
    "strategy": _word,
    "activation_checkpointing": _yes_or_no,
}


def read_facts(texts: Mapping[str, str], source: Source) -> dict[str, Fact[Any]]:
    """Read stated facts.

    Args:
        texts: name of the fact to its value as text.
        source: OPTION or DIRECTIVE.

    Raises:
        UsageError: there is no such fact, or the value is not one of its kind.
    """
    facts: dict[str, Fact[Any]] = {}
    for name, text in texts.items():
        if name not in READERS:
            close = difflib.get_close_matches(name, READERS, n=1)
            meant = f" Did you mean {close[0]}?" if close else ""
            raise UsageError(f"--set {name}: there is no such fact.{meant}", hint=f"Facts: {', '.join(READERS)}.")
        try:
            facts[name] = Fact(READERS[name](text), source)
        except ValueError as exc:
            raise UsageError(f"--set {name}: '{text}' {exc}.") from exc
    return facts
