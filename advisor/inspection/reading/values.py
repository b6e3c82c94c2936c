"""What an expression of a script may be worth to a reader that runs nothing.

Numbers, strings, lists and dictionaries are themselves; tagged ones remember that they came from the script's arguments
or a configuration file. Everything else is one of the classes below, or ``UNKNOWN``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from advisor.inspection.reading.structure import Module, Scope
from advisor.inspection.workload import Source

Value = Any


class Unknown:
    """What cannot be said without running the script."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()
# What a look-up answers where there is no such name: None is a value like any other.
MISSING = Unknown()
PLAIN = (int, float, str, bool, type(None), tuple, list, dict)


class _TaggedInt(int):
    source: Source


class _TaggedFloat(float):
    source: Source


class _TaggedStr(str):  # noqa: SLOT000 (it exists to hold one attribute)
    source: Source


_TAGGED = {int: _TaggedInt, float: _TaggedFloat, str: _TaggedStr}


def tagged(value: Value, source: Source) -> Value:
    """The value, remembering its source as far as its type can; lists and dictionaries pass it on to their items."""
    if isinstance(value, dict):
        return {key: tagged(item, source) for key, item in value.items()}
    if isinstance(value, list):
        return [tagged(item, source) for item in value]
    kind = next((kind for kind in (int, float, str) if isinstance(value, kind) and not isinstance(value, bool)), None)
    if kind is None:
        return value
    marked = _TAGGED[kind](value)
    marked.source = source
    return marked


def source_of(*values: Value) -> Source:
    """Where a value came from; of several, the first that is no constant."""
    return next((value.source for value in values if hasattr(value, "source")), Source.SOURCE_CODE)


def with_source(result: Value, *origins: Value) -> Value:
    """The result of a computation, with the source of what it was computed from."""
    source = source_of(*origins)
    return result if source is Source.SOURCE_CODE else tagged(result, source)


def plain(value: Value) -> Value:
    """The value without its tag."""
    return next((kind(value) for kind, marked in _TAGGED.items() if isinstance(value, marked)), value)


def is_plain(value: Value) -> bool:
    """Whether a value is known through and through."""
    if isinstance(value, dict):
        return all(is_plain(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(is_plain(item) for item in value)
    return isinstance(value, PLAIN)


def truth(value: Value) -> bool | None:
    """Whether a test holds; None where that cannot be told."""
    if isinstance(value, PLAIN):
        return bool(value)
    return True if isinstance(value, Function | Class | Instance) else None


@dataclass(eq=False)
class Dotted:
    """Something imported that is not the script's own, by its full name."""

    name: str


@dataclass(eq=False)
class Made:
    """What a call returned that is not looked into: its callee's name (a method's begins with a dot), its arguments.

    ``origin`` is the call itself: what the same call makes is taken for one object.
    """

    name: str
    receiver: Value = None
    args: list[Value] = field(default_factory=list)
    kwargs: dict[str, Value] = field(default_factory=dict)
    attributes: dict[str, Value] = field(default_factory=dict)
    complete: bool = True  # False where * or ** hid some of the arguments
    origin: ast.Call | None = None

    def word(self, name: str, position: int | None = None, default: Value = None) -> Value:
        """An argument by name or position; ``default`` where it was not given, UNKNOWN where that cannot be told."""
        if name in self.kwargs:
            return self.kwargs[name]
        if position is not None and position < len(self.args):
            return self.args[position]
        return default if self.complete else UNKNOWN

    def chain(self) -> Iterable[Made]:
        """This and what it was called on, as in ``data.shuffle(9).batch(32)``, last call first."""
        current: Value = self
        while isinstance(current, Made):
            yield current
            current = current.receiver


@dataclass(eq=False)
class Function:
    """A function of the script's own; ``owner`` is the object that it was taken from."""

    scope: Scope
    owner: Value = None


@dataclass(eq=False)
class Class:
    """A class of the script's own; ``bases`` are what it derives from."""

    scope: Scope
    bases: tuple[Value, ...]

    @property
    def name(self) -> str:
        """Its name in the source."""
        return self.scope.node.name if isinstance(self.scope.node, ast.ClassDef) else ""

    def lineage(self) -> Iterable[Class]:
        """Itself and its bases that are the script's own."""
        yield self
        for base in self.bases:
            if isinstance(base, Class):
                yield from base.lineage()

    def derives_from(self, *endings: str) -> bool:
        """Whether one of its bases, direct or not, is imported and ends in one of these names."""
        bases = [base for found in self.lineage() for base in found.bases]
        return any(isinstance(base, Dotted) and base.name.rpartition(".")[2] in endings for base in bases)


@dataclass(eq=False)
class Instance:
    """An object of one of the script's own classes.

    ``made`` are the arguments that it was made with, ``measure`` tells its length.
    """

    kind: Class
    made: Made
    measure: Callable[[Instance], Value] = lambda _owner: UNKNOWN


@dataclass(eq=False)
class Own:
    """A module of the script's own."""

    module: Module


@dataclass(eq=False)
class Rows:
    """An array of which only the shape is known; sizes may be UNKNOWN."""

    shape: tuple[Value, ...]


@dataclass(eq=False)
class Around:
    """A loop around a call: what it runs over, and how often (None: unknown).

    ``may_end_early`` where it may be left before it has run so often: then ``count`` is the most.
    """

    key: tuple[object, ...]
    over: Value
    count: Value = None
    may_end_early: bool = False

    @property
    def rounds(self) -> Value:
        """How often it runs, UNKNOWN where that cannot be told."""
        return UNKNOWN if self.count is None or self.may_end_early else self.count


@dataclass(frozen=True)
class Branch:
    """An arm of an ``if`` whose test cannot be told; ``every`` is N for ``if step % N == 0``."""

    node: int
    arm: bool
    every: Value = None


@dataclass(eq=False)
class Call:
    """A call of something that is not the script's own, and what is around it from the script's start on."""

    made: Made
    loops: tuple[Around, ...]
    branches: tuple[Branch, ...]
    line: int

    @property
    def name(self) -> str:
        """The callee's full name; a method's begins with a dot."""
        return self.made.name


def same(one: Value, other: Value) -> bool:
    """Whether two values are known to be the same."""
    if one is other:
        return True
    if isinstance(one, int | float | str | bool | tuple | list | dict | type(None)):
        return type(plain(one)) is type(plain(other)) and bool(one == other)
    if isinstance(one, Dotted | Rows) and type(one) is type(other):
        return vars(one) == vars(other)
    return isinstance(one, Own) and isinstance(other, Own) and one.module is other.module


def agreed(values: Sequence[Value]) -> Value:
    """The one value of several ways to get there, UNKNOWN where they differ or there is none."""
    return values[0] if values and all(same(values[0], other) for other in values[1:]) else UNKNOWN
