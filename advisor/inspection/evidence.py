"""Layers of evidence laid over one another: the strongest value wins, values that differ stay beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from advisor.inspection.workload import Contender, Fact, Source, Workload

# Two ways to count the same operations differ by what they leave out (activations, normalisations).
_SAME_FLOPS = 0.05
# A table's figures are those of the published network; a changed head or input layer is no contradiction.
_SAME_AS_TABLE = 0.15
_STRENGTH = {source: rank for rank, source in enumerate(Source)}

Facts = Mapping[str, Fact[Any]]


def merge(layers: Sequence[Facts]) -> dict[str, Fact[Any]]:
    """One fact a name, from whichever layers know it; ``Source`` says which value wins."""
    names = dict.fromkeys(name for layer in layers for name in layer)
    return {name: _strongest([layer[name] for layer in layers if name in layer]) for name in names}


def completed(workload: Workload, found: Workload | None) -> Workload:
    """A workload with what was found of the same training later; what a person stated of it stands."""
    if found is None:
        return workload
    layers: list[Facts] = [dict(workload.facts()), {name: fact for name, fact in found.facts() if not _is_stated(fact)}]
    return Workload(**merge(layers), notes=tuple(dict.fromkeys((*workload.notes, *found.notes))))


def _is_stated(fact: Fact[Any]) -> bool:
    return fact.source in {Source.OPTION, Source.DIRECTIVE}


def _strongest(facts: Sequence[Fact[Any]]) -> Fact[Any]:
    values = [Contender(fact.value, fact.source) for fact in facts if fact.source is not Source.UNKNOWN]
    values += [other for fact in facts for other in fact.others]
    if not values:
        return Fact()
    winner, *rest = sorted(values, key=lambda item: _STRENGTH[item.source])
    others = tuple(item for item in rest if not agree(winner, item))
    return Fact(winner.value, winner.source, others)


def agree(one: Contender[Any], other: Contender[Any]) -> bool:
    """Whether two values of a fact say the same, as far as their sources can tell."""
    if isinstance(one.value, int | float) and isinstance(other.value, int | float):
        tolerance = _SAME_FLOPS if isinstance(one.value, float) or isinstance(other.value, float) else 0.0
        if Source.TABLE in {one.source, other.source}:
            tolerance = _SAME_AS_TABLE
        return math.isclose(one.value, other.value, rel_tol=tolerance)
    if isinstance(one.value, str) and isinstance(other.value, str):
        return _letters(one.value) == _letters(other.value)
    return bool(one.value == other.value)


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())
