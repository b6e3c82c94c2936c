"""The calls that a script makes of libraries, with the loops and unknown tests around each from its start on."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from advisor.inspection.reading.calls import given_by
from advisor.inspection.reading.operators import length
from advisor.inspection.reading.resolve import Resolver
from advisor.inspection.reading.structure import CallSite, Guard, Loop, Scope
from advisor.inspection.reading.values import UNKNOWN, Around, Branch, Call, Class, Function, Value

_MOST_WAYS, _DEEPEST = 64, 20

_Way = tuple[Resolver, tuple[Around, ...], tuple[Branch, ...]]


class Reach:
    """The ways from the start of a script to its calls."""

    def __init__(self, resolver: Resolver) -> None:
        """Begin; ``resolver`` knows the values."""
        self._resolver = resolver
        self._arounds: dict[tuple[object, ...], Around] = {}

    def calls(self, is_wanted: Callable[[ast.Call, str], bool]) -> Iterator[Call]:
        """The calls that can be reached, once for each way to get there.

        Args:
            is_wanted: whether a call is of use, by its node and the last name of what it calls.
        """
        for site in self._resolver.program.calls:
            func = site.node.func
            last = getattr(func, "attr", "")
            if isinstance(func, ast.Name):
                last = self._resolver.program.aliases.get(func.id, func.id)
            if not is_wanted(site.node, last):
                continue
            callee = self._resolver.callee(site)
            if isinstance(callee, Function | Class) and not _derives_from_library(callee):
                continue
            for inside, loops, branches in self._ways(site, ()):
                yield Call(inside.made_at(site), loops, branches, site.node.lineno)

    def _ways(self, site: CallSite, stack: tuple[CallSite, ...]) -> list[_Way]:
        """The values, loops and branches around a call, outermost first; one way for each call of its function."""
        place, scope = site.place, site.place.scope
        if site in stack or len(stack) > _DEEPEST:
            return []
        while isinstance(scope.node, ast.ClassDef) and scope.parent is not None:
            scope = scope.parent
        stack = (*stack, site)
        outer: list[_Way] = [(self._resolver, (), ())]
        if scope.is_function:
            outer = [
                self._called(scope, caller, way)
                for caller in self._resolver.callers(scope)
                for way in self._ways(caller, stack)
            ]
        found = []
        for inside, loops, branches in outer[:_MOST_WAYS]:
            if inside.holds(place.guards) is not False:
                own = tuple(branch for guard in place.guards if (branch := self._branch(guard, inside)) is not None)
                around = tuple(self._around(loop, loops, inside) for loop in place.loops)
                found.append((inside, (*loops, *around), (*branches, *own)))
        return found

    def _called(self, scope: Scope, caller: CallSite, way: _Way) -> _Way:
        inside, loops, branches = way
        callee = inside.callee(caller)
        owner = callee.owner if isinstance(callee, Function) else None
        return inside.within(scope, given_by(inside, scope, caller), owner), loops, branches

    def _branch(self, guard: Guard, inside: Resolver) -> Branch | None:
        if inside.guard(guard) is not None:
            return None
        every = self._every(guard, guard.test, inside) if guard.wanted else None
        return Branch(id(guard.test), guard.wanted, every)

    def _every(self, guard: Guard, test: ast.expr, inside: Resolver) -> Value:
        """N of ``x % N == 0``, also among others that are joined by ``or``."""
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
            return next(
                (found for part in test.values if (found := self._every(guard, part, inside)) is not None), None
            )
        modulo: ast.expr | None = None
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            modulo = test.operand
        elif isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq):
            modulo = test.left
        if isinstance(modulo, ast.BinOp) and isinstance(modulo.op, ast.Mod):
            return inside.value(modulo.right, guard.place)
        return None

    def _around(self, loop: Loop, outer: tuple[Around, ...], inside: Resolver) -> Around:
        key = (loop, id(inside), *(item.key for item in outer))
        if key not in self._arounds:
            node = loop.node
            over = UNKNOWN if isinstance(node, ast.While) else inside.value(node.iter, loop.place)
            early = any(inside.holds(guards) is not False for guards in loop.ends)
            self._arounds[key] = Around(key, over, length(over), may_end_early=early)
        return self._arounds[key]


def _derives_from_library(callee: Function | Class) -> bool:
    """Whether a class of the script's own is a library's trainer or loader under another name."""
    return isinstance(callee, Class) and callee.derives_from("Trainer", "Seq2SeqTrainer", "DataLoader")
