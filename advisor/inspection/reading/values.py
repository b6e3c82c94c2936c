"""What an expression of a script may be worth to a reader that runs nothing.

Numbers, strings, lists and dictionaries are themselves; ``Tagged`` ones remember that they came from the script's
arguments or a configuration file. Everything else is one of the classes below, or ``UNKNOWN``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advisor.inspection.workload import Source

Value = Any


class Unknown:
    """What cannot be said without running the script."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()
# What a look-up answers where there is no such name: None is a value like any other.
MISSING = Unknown()


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


def plain(value: Value) -> Value:
    """The value without its tag."""
    return next((kind(value) for kind, marked in _TAGGED.items() if isinstance(value, marked)), value)


@dataclass(eq=False)
class Scope:
    """Names of a module, a function call or a class body. ``folder`` is where the module's own imports are sought."""

    names: dict[str, Value]
    parent: Scope | None = None
    module: str = "__main__"
    path: Path | None = None
    declared_global: set[str] = field(default_factory=set)

    def find(self, name: str) -> Value:
        """The value of a name, MISSING where there is none."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return MISSING

    def assign(self, name: str, value: Value) -> None:
        """Bind a name here, or in the module where it was declared global."""
        scope = self
        if name in self.declared_global:
            while scope.parent is not None:
                scope = scope.parent
        scope.names[name] = value


@dataclass(eq=False)
class Dotted:
    """Something imported that is not the script's own, by its full name."""

    name: str


@dataclass(eq=False)
class Made:
    """What a call returned that is not looked into: its callee's name (a method's begins with a dot), its words."""

    name: str
    receiver: Value = None
    args: list[Value] = field(default_factory=list)
    kwargs: dict[str, Value] = field(default_factory=dict)
    attributes: dict[str, Value] = field(default_factory=dict)
    complete: bool = True  # False where * or ** hid some of the words

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
    """A function of the script's own."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: Scope
    defaults: dict[str, Value]
    decorators: list[Value] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name in the source."""
        return getattr(self.node, "name", "<lambda>")


@dataclass(eq=False)
class Class:
    """A class of the script's own; ``names`` are those of its body, ``fields`` its annotated ones in order."""

    name: str
    bases: list[Value]
    names: dict[str, Value]
    fields: dict[str, Value]
    annotations: dict[str, ast.expr]
    decorators: list[Value]
    scope: Scope

    def lineage(self) -> Iterable[Class]:
        """Itself and its bases that are the script's own."""
        yield self
        for base in self.bases:
            if isinstance(base, Class):
                yield from base.lineage()

    def find(self, name: str) -> Value:
        """An attribute of the class or of its bases, MISSING where there is none."""
        return next((found.names[name] for found in self.lineage() if name in found.names), MISSING)

    def derives_from(self, *endings: str) -> bool:
        """Whether one of its bases, direct or not, is imported and ends in one of these names."""
        bases = [base for found in self.lineage() for base in found.bases]
        return any(isinstance(base, Dotted) and base.name.rpartition(".")[2] in endings for base in bases)


@dataclass(eq=False)
class Instance:
    """An object of one of the script's own classes; ``made`` are the words that it was made with."""

    kind: Class
    attributes: dict[str, Value]
    made: Made


@dataclass(eq=False)
class Method:
    """A function of the script's own with the object that it was taken from."""

    function: Function
    owner: Value


@dataclass
class Frame:
    """A function of the script's own while it is walked: what it has returned, how many loops stand around its call."""

    function: Function
    loops_around: int
    returned: list[Value] = field(default_factory=list)


@dataclass(eq=False)
class Partial:
    """``functools.partial``: something to call, with words that it is given beforehand."""

    callee: Value
    made: Made


@dataclass(eq=False)
class Rows:
    """An array of which only the shape is known; sizes may be UNKNOWN."""

    shape: tuple[Value, ...]


@dataclass(eq=False)
class Loop:
    """A loop around a call: what it runs over, how often (None: unknown), and the steps in all where it counts them.

    ``may_end_early`` once its body holds a ``break`` or ``return`` that may be reached: then ``count`` is the most.
    """

    over: Value
    count: Value = None
    total_steps: Value = None
    may_end_early: bool = False

    @property
    def rounds(self) -> Value:
        """How often it runs, UNKNOWN where that cannot be told."""
        return UNKNOWN if self.count is None or self.may_end_early else self.count


@dataclass(frozen=True)
class Branch:
    """An arm of an ``if`` whose test cannot be told; ``every`` is N for ``if step % N == 0``."""

    node: int
    arm: int
    every: Value = None


@dataclass(eq=False)
class Call:
    """A call of something that is not the script's own, and where it happened."""

    made: Made
    loops: tuple[Loop, ...]
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
    return False


def merged(one: Value, other: Value) -> Value:
    """What a name is worth after two ways to get there."""
    return one if same(one, other) else UNKNOWN
