"""What a script and its own modules consist of: scopes and the names that they bind, calls, loops, tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(eq=False, repr=False, slots=True)
class Guard:
    """A test that a statement stands under; ``wanted`` is what it must come out as."""

    test: ast.expr
    wanted: bool
    place: Place


@dataclass(eq=False, repr=False, slots=True)
class Loop:
    """A loop; ``ends`` are the tests under which it is left before its end."""

    node: ast.For | ast.AsyncFor | ast.While | ast.comprehension
    place: Place
    ends: list[tuple[Guard, ...]] = field(default_factory=list)


@dataclass(eq=False, repr=False, slots=True)
class Place:
    """Where a statement stands: its scope, the tests and loops around it within that scope, its position."""

    scope: Scope
    guards: tuple[Guard, ...]
    loops: tuple[Loop, ...]
    position: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Import:
    """Something imported: a module, or a name of one; ``level`` counts the dots in front of it."""

    module: str
    level: int
    name: str | None


@dataclass(eq=False, repr=False, slots=True)
class Binding:
    """One way in which a name gets a value: ``value`` is an expression, a definition, or None where it is not known.

    ``path`` says which part of the value it is, where several names are bound at once. ``is_item`` of a loop: the name
    is one of the value's items.
    """

    value: ast.expr | FunctionNode | ast.ClassDef | Import | None
    place: Place
    path: tuple[int, ...] = ()
    is_item: bool = False

    def comes_round(self, at: tuple[int, int]) -> bool:
        """Whether it stands after a use but reaches it in the next round of a loop around both."""
        return any(
            isinstance(loop.node, ast.stmt) and (loop.node.lineno, 0) <= at <= (loop.node.end_lineno or 0, 10**6)
            for loop in self.place.loops
        )


@dataclass(eq=False, repr=False, slots=True)
class Change:
    """``owner.key = value`` or ``owner[key] = value``, however it is written; a key may be an expression."""

    owner: ast.expr
    key: str | int | ast.expr
    value: ast.expr | None
    place: Place


@dataclass(eq=False, slots=True)
class CallSite:
    """A call and where it stands."""

    node: ast.Call
    place: Place


@dataclass(eq=False, repr=False, slots=True)
class Scope:
    """A module, a function or a class with the names that it binds."""

    node: ast.Module | FunctionNode | ast.Lambda | ast.ClassDef
    parent: Scope | None
    module: Module
    names: dict[str, list[Binding]] = field(default_factory=dict)
    returns: list[tuple[ast.expr | None, Place]] = field(default_factory=list)
    is_generator: bool = False

    @property
    def name(self) -> str:
        """The name of its function or class, "" for a module."""
        return "<lambda>" if isinstance(self.node, ast.Lambda) else getattr(self.node, "name", "")

    @property
    def is_method(self) -> bool:
        """Whether its first parameter is an object of the class that it stands in."""
        decorators = getattr(self.node, "decorator_list", [])
        is_static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in decorators)
        in_class = self.parent is not None and isinstance(self.parent.node, ast.ClassDef)
        return in_class and not is_static and bool(parameters(self.node))

    def ancestors(self) -> Iterator[Scope]:
        """The scopes around it, the nearest first."""
        scope = self.parent
        while scope is not None:
            yield scope
            scope = scope.parent

    @property
    def is_function(self) -> bool:
        """Whether it is a function's, which has values of its own for each call."""
        return isinstance(self.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


@dataclass(eq=False, slots=True)
class Module:
    """A module of the script's own. ``scope`` is its top; ``imported`` are the packages it imports that are not."""

    name: str
    path: Path
    scope: Scope = field(init=False)


@dataclass(eq=False)
class Program:
    """The script with the modules of its own that it imports.

    ``scopes`` maps definitions to their scopes. ``changes`` are by kind and name, under None where the name is not
    written there. ``aliases`` are imported names by what they are called here, ``opaque`` modules whose names ``exec``
    or ``globals()`` may change.
    """

    root: Path
    main: Module
    modules: dict[Path, Module] = field(default_factory=dict)
    calls: list[CallSite] = field(default_factory=list)
    changes: dict[tuple[bool, str | int | None], list[Change]] = field(default_factory=dict)
    scopes: dict[ast.AST, Scope] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    opaque: set[Module] = field(default_factory=set)

    def changes_of(self, key: str | int, *, is_item: bool) -> list[Change]:
        """The assignments to attributes, or items, that may be of this name."""
        return [*self.changes.get((is_item, key), ()), *self.changes.get((is_item, None), ())]


def parameters(node: ast.AST) -> list[str]:
    """The names of a function's parameters."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return []
    arguments = node.args
    listed = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    return [item.arg for item in listed if item is not None]
