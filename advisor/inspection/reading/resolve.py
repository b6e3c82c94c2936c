"""What an expression of a program is worth: found by going back from the expression to what it is made of.

A name is worth what it was last bound to before its use; what stands under a test that is not known counts as another
possible value, and a name with two different ones is unknown. A function's parameters are worth what the call gives
them that is looked at, else what all calls of the program agree on.
"""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from advisor.inspection.reading.arguments import parsed
from advisor.inspection.reading.attributes import Attributes
from advisor.inspection.reading.calls import by_name, given, given_by, handed_at
from advisor.inspection.reading.library import length_of_instance, path_part, result_of
from advisor.inspection.reading.operators import combined, length, sliced
from advisor.inspection.reading.program import own_module
from advisor.inspection.reading.structure import (
    Binding,
    CallSite,
    Guard,
    Import,
    Place,
    Program,
    Scope,
    parameters,
)
from advisor.inspection.reading.values import (
    MISSING,
    UNKNOWN,
    Class,
    Dotted,
    Function,
    Instance,
    Made,
    Own,
    Rows,
    Value,
    agreed,
    tagged,
    truth,
)
from advisor.inspection.shell.state import HOLE
from advisor.inspection.workload import Source

_MOST_STEPS = 60_000
_DEEPEST = 60
_DEEPEST_CALL = 12
_LAST = (10**9, 0)


class OutOfSteps(Exception):
    """The script is too long to be read whole."""


@dataclass(slots=True)
class _State:
    """What all resolvers of a program share.

    ``steps`` were taken; ``open`` is being found.
    """

    steps: int = 0
    open: set[tuple[object, ...]] = field(default_factory=set)


class Resolver:
    """Values of one program, in one call of one of its functions.

    ``files`` are the configuration files that were read, ``sites`` the calls by the names that they hold, ``told`` the
    functions whose call is looked at, with its arguments and the object whose method it is.
    """

    def __init__(
        self, program: Program, arguments: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        """Prepare; ``folder`` is where relative paths lead, as in the job."""
        self.program = program
        self.arguments = tuple(arguments)
        self.environment = dict(environment)
        self.folder = folder
        self.files: list[Path] = []
        self.sites = by_name(program.calls)
        self.told: dict[Scope, tuple[Made | None, Value]] = {}
        self.calls = 0
        self.root = self
        self.attributes = Attributes(self)
        self._state = _State()
        self._kinds: dict[Scope, Class] = {}
        self._callers: dict[Scope, list[CallSite]] = {}
        self._within: dict[tuple[object, ...], Resolver] = {}
        self._known: dict[tuple[object, ...], Value] = {}

    def within(self, scope: Scope, made: Made | None, owner: Value = None) -> Resolver:
        """The values in a call of a function: ``made`` are its arguments, None for any; ``owner`` is its object."""
        if self.calls >= _DEEPEST_CALL or (scope in self.told and self.told[scope][0] is not made):
            return self.root
        key = (scope, id(made), id(owner))
        if key not in self._within:
            found = self._within[key] = copy.copy(self)
            around = {item: told for item, told in self.told.items() if item in scope.ancestors()}
            found.told = {**around, scope: (made, owner)}
            found.calls, found._known, found._within = self.calls + 1, {}, {}  # noqa: SLF001 (a copy of itself)
        return self._within[key]

    # Expressions

    def value(self, node: ast.expr | None, place: Place) -> Value:
        """The value of an expression at a place."""
        if self is not self.root and not any(scope in self.told for scope in (place.scope, *place.scope.ancestors())):
            return self.root.value(node, place)
        return self._once(
            (node, place.position), lambda: UNKNOWN if node is None else self._found(node, place), UNKNOWN
        )

    def _once(self, key: tuple[object, ...], find: Callable[[], Value], meanwhile: Value) -> Value:
        """A value that is found once; ``meanwhile`` stands for it where finding it leads back to itself."""
        state, whole = self._state, (id(self), *key)
        if key in self._known or whole in state.open or len(state.open) > _DEEPEST:
            return self._known.get(key, meanwhile)
        state.steps += 1
        if state.steps > _MOST_STEPS:
            raise OutOfSteps
        state.open.add(whole)
        try:
            self._known[key] = find()
        finally:
            state.open.remove(whole)
        return self._known[key]

    def _found(self, node: ast.expr, place: Place) -> Value:  # noqa: PLR0911 (one return for each kind of node)
        match node:
            case ast.Name():
                return self._name(node.id, place)
            case ast.Attribute():
                return self.attribute(self.value(node.value, place), node.attr)
            case ast.Subscript():
                return self._subscript(node, place)
            case ast.Call():
                return self._call(node, place)
            case ast.Lambda():
                return Function(self.program.scopes[node])
            case ast.ListComp() | ast.GeneratorExp():
                first = node.generators[0]
                is_plain = len(node.generators) == 1 and not first.ifs
                count = length(self.value(first.iter, place)) if is_plain else None
                return Rows((count,)) if isinstance(count, int) else UNKNOWN
            case _:
                return combined(node, lambda inner: self.value(inner, place))

    def _name(self, name: str, place: Place) -> Value:
        for scope in (place.scope, *place.scope.ancestors()):
            is_own = scope is place.scope
            if name in scope.names and (is_own or not isinstance(scope.node, ast.ClassDef)):
                return self.bound(scope, name, place.position if is_own else _LAST)
        if name in {"__name__", "__file__"}:
            module = place.scope.module
            return module.name if name == "__name__" else str(module.path)
        is_hidden = place.scope.module in self.program.opaque and not hasattr(builtins, name)
        return UNKNOWN if is_hidden else Dotted(f"builtins.{name}")

    def bound(self, scope: Scope, name: str, at: tuple[int, int] = _LAST) -> Value:
        """The value of a name of a scope at a position of it."""
        possible: list[Binding | None] = [None] if name in parameters(scope.node) else []
        for binding in scope.names[name]:
            if binding.place.position >= at and not binding.comes_round(at):
                continue
            certain = self.holds(binding.place.guards)
            if certain and binding.place.scope is scope and not binding.place.loops:
                possible = []
            possible += [binding] if certain is not False else []
        is_opaque = not scope.is_function and scope.module in self.program.opaque
        if is_opaque and any(item is None or isinstance(item.value, ast.expr) for item in possible):
            return UNKNOWN  # exec() may have bound it to anything
        return agreed([self._parameter(scope, name) if item is None else self._of_binding(item) for item in possible])

    def _of_binding(self, binding: Binding) -> Value:
        node = binding.value
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return Function(self.program.scopes[node])
        if isinstance(node, ast.ClassDef):
            return self.class_of(self.program.scopes[node])
        if isinstance(node, Import):
            return self._imported(node, binding.place)
        found = self.value(node, binding.place)
        if binding.is_item:
            return UNKNOWN
        for position in binding.path:
            found = self.item(found, position)
        return found

    def class_of(self, scope: Scope) -> Class:
        """The class of a class's scope, one and the same for each."""
        if scope not in self._kinds:
            node, place = scope.node, Place(scope.parent or scope, (), (), _LAST)
            self._kinds[scope] = Class(scope, ())
            bases = node.bases if isinstance(node, ast.ClassDef) else []
            self._kinds[scope].bases = tuple(self.root.value(base, place) for base in bases)
        return self._kinds[scope]

    def _imported(self, wanted: Import, place: Place) -> Value:
        importer = place.scope.module
        module = own_module(self.program, wanted.module, level=wanted.level, importer=importer)
        if wanted.name is None:
            return named(wanted.module) if module is None else Own(module)
        if module is not None and wanted.name in module.scope.names:
            return self.root.bound(module.scope, wanted.name)
        inner = f"{wanted.module}.{wanted.name}".strip(".")
        submodule = own_module(self.program, inner, level=wanted.level, importer=importer)
        if submodule is not None:
            return Own(submodule)
        return UNKNOWN if module is not None or wanted.level else named(inner)

    # Parameters

    def _parameter(self, scope: Scope, name: str) -> Value:
        made, owner = self.told.get(scope, (None, None))
        if scope.is_method and parameters(scope.node)[0] == name and scope.parent is not None:
            kind = self.class_of(scope.parent)
            return owner if isinstance(owner, Instance) else Instance(kind, Made(kind.name, complete=False))
        if made is not None:
            return given(self.root, scope, name, made)
        return self.root._once(("parameter", scope, name), lambda: self.root._by_callers(scope, name), UNKNOWN)  # noqa: SLF001 (another of its kind)

    def _by_callers(self, scope: Scope, name: str) -> Value:
        return agreed([given(self.root, scope, name, given_by(self, scope, site)) for site in self.callers(scope)])

    def callers(self, scope: Scope) -> list[CallSite]:
        """The calls of a function of the script's own, and those that are handed it as an argument."""
        is_init = scope.name == "__init__" and scope.parent is not None
        name = scope.parent.name if is_init and scope.parent is not None else scope.name
        if scope not in self._callers:
            self._callers[scope] = []
            self._callers[scope] = [site for site in self.sites.get(name, ()) if self.root._calls(site, scope)]  # noqa: SLF001 (another of its kind)
        return self._callers[scope]

    def _calls(self, site: CallSite, scope: Scope) -> bool:
        callee = self.callee(site)
        if isinstance(callee, Class):
            callee = self.attributes.of_class(callee, "__init__")
        if isinstance(callee, Function):
            return callee.scope is scope
        return handed_at(self.made_at(site), scope) is not None

    # Attributes and items

    def attribute(self, owner: Value, name: str) -> Value:  # noqa: PLR0911 (one return for each kind of owner)
        """``owner.name``."""
        if isinstance(owner, Dotted):
            if (owner.name, name) == ("sys", "argv"):
                words = [UNKNOWN if HOLE in word else tagged(word, Source.ARGUMENTS) for word in self.arguments]
                return [str(self.program.main.path), *words]
            return named(f"{owner.name}.{name}")
        if isinstance(owner, Own):
            scope = owner.module.scope
            return self.attributes.changed(
                owner, name, self.root.bound(scope, name) if name in scope.names else UNKNOWN
            )
        if isinstance(owner, Class):
            found = self.attributes.of_class(owner, name)
            return UNKNOWN if found is MISSING else found
        if isinstance(owner, Instance):
            key = ("attribute", owner, name)
            return self.root._once(key, lambda: self.attributes.of_instance(owner, name), UNKNOWN)  # noqa: SLF001 (another of its kind)
        if isinstance(owner, Made) and owner.name == "pathlib.Path" and name in {"parent", "name", "stem"}:
            return path_part(owner, name)
        if isinstance(owner, Made):
            return self.attributes.changed(owner, name, owner.attributes.get(name, UNKNOWN))
        return owner.shape if isinstance(owner, Rows) and name == "shape" else UNKNOWN

    def _subscript(self, node: ast.Subscript, place: Place) -> Value:
        owner = self.value(node.value, place)
        if isinstance(node.slice, ast.Slice):
            parts = (node.slice.lower, node.slice.upper, node.slice.step)
            return sliced(owner, [None if part is None else self.value(part, place) for part in parts])
        return self.item(owner, self.value(node.slice, place))

    def item(self, owner: Value, key: Value) -> Value:
        """``owner[key]``."""
        if isinstance(owner, Dotted) and owner.name == "os.environ" and isinstance(key, str):
            return self.attributes.changed(owner, key, self.environment.get(key, UNKNOWN), is_item=True)
        if isinstance(owner, dict | list | tuple | str) and isinstance(key, int | str | float | bool):
            try:
                found = owner[key]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                found = UNKNOWN
            return self.attributes.changed(owner, key, found, is_item=True) if isinstance(owner, dict) else found
        if isinstance(owner, Made) and isinstance(key, str):
            return owner.attributes.get(key, UNKNOWN)
        return Rows(owner.shape[1:]) if isinstance(owner, Rows) and isinstance(key, int) else UNKNOWN

    # Calls

    def _call(self, node: ast.Call, place: Place) -> Value:
        site = CallSite(node, place)
        made, callee = self.made_at(site), self.callee(site)
        if isinstance(callee, Function):
            return UNKNOWN if callee.scope.is_generator else self.returned(callee, made)
        if isinstance(callee, Class):
            return Instance(callee, made, lambda owner: length_of_instance(owner, self))
        if callee is UNKNOWN and not isinstance(node.func, ast.Attribute):
            return UNKNOWN
        found = parsed(made, self)
        return result_of(made, self) if found is MISSING else found

    def callee(self, site: CallSite) -> Value:
        """What a call calls; of an object of the script's own, its ``__call__``."""
        found = self.value(site.node.func, site.place)
        if isinstance(found, Made) and found.name.rpartition(".")[2] == "partial" and found.args:
            return found.args[0]
        if isinstance(found, Instance):
            special = self.attributes.of_class(found.kind, "__call__")
            return Function(special.scope, found) if isinstance(special, Function) else UNKNOWN
        return found

    def made_at(self, site: CallSite) -> Made:
        """A call's name and arguments."""
        pending = Made("", complete=False)
        found: Made = self._once(("made", site.node, site.place.position), lambda: self._arguments(site), pending)
        return found

    def receiver(self, site: CallSite) -> Value:
        """What a method is called on, None where it is no method."""
        func = site.node.func
        return self.value(func.value, site.place) if isinstance(func, ast.Attribute) else None

    def _arguments(self, site: CallSite) -> Made:
        node, place = site.node, site.place
        made, func = Made("", origin=node), self.value(node.func, place)
        if isinstance(func, Made) and func.name.rpartition(".")[2] == "partial" and func.args:
            made.args, made.kwargs, made.complete = list(func.args[1:]), dict(func.kwargs), func.complete
            func = func.args[0]
        if isinstance(func, Dotted):
            made.name = func.name
        elif isinstance(node.func, ast.Attribute):
            made.name, made.receiver = f".{node.func.attr}", self.value(node.func.value, place)
        else:
            made.name = node.func.id if isinstance(node.func, ast.Name) else ""
        for argument in node.args:
            value = self.value(argument, place)
            if isinstance(argument, ast.Starred):
                made.complete = made.complete and isinstance(value, list | tuple)
                made.args += value if isinstance(value, list | tuple) else []
            else:
                made.args.append(value)
        for keyword in node.keywords:
            value = self.value(keyword.value, place)
            if keyword.arg is not None:
                made.kwargs[keyword.arg] = value
            elif isinstance(value, dict):
                made.kwargs.update({str(name): self.item(value, name) for name in value})
            else:
                made.complete = False
        return made

    def returned(self, function: Function, made: Made | None = None) -> Value:
        """What a call of a function of the script's own returns; ``made`` are its arguments, None for any."""
        inside = self.within(function.scope, made, function.owner)
        node = function.scope.node
        if isinstance(node, ast.Lambda):
            return inside.value(node.body, Place(function.scope, (), (), _LAST))
        values = [
            None if value is None else inside.value(value, place)
            for value, place in function.scope.returns
            if inside.holds(place.guards) is not False
        ]
        tuples = [value for value in values if isinstance(value, tuple)]
        if values and len(tuples) == len(values) and len({len(item) for item in tuples}) == 1:
            return tuple(agreed(parts) for parts in zip(*tuples, strict=True))
        return agreed(values) if values else None

    # Tests

    def holds(self, guards: Sequence[Guard]) -> bool | None:
        """Whether all of these tests come out as wanted; None where one of them cannot be told."""
        verdicts = [self.guard(guard) for guard in guards]
        return False if False in verdicts else None if None in verdicts else True

    def guard(self, guard: Guard) -> bool | None:
        """Whether one test comes out as wanted."""
        known = truth(self.value(guard.test, guard.place))
        return None if known is None else known is guard.wanted


def named(name: str) -> Dotted:
    """Something imported; Keras is one library under its many names."""
    for prefix in ("tensorflow.keras", "tensorflow.python.keras", "tf_keras"):
        if name == prefix or name.startswith(f"{prefix}."):
            return Dotted("keras" + name[len(prefix) :])
    return Dotted(name)
