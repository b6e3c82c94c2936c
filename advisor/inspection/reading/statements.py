"""What the statements of a script do to a walk: names bound, both arms of an unknown ``if`` taken, loops counted."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from advisor.inspection.reading.expressions import attribute, evaluate, is_plain, truth
from advisor.inspection.reading.values import (
    MISSING,
    UNKNOWN,
    Branch,
    Class,
    Function,
    Loop,
    Made,
    Scope,
    Value,
    merged,
)

if TYPE_CHECKING:
    from advisor.inspection.reading.interpreter import Interpreter

# Loops over so few known things are walked for each of them; a longer one is walked once and counted.
_UNROLLED = 12
_MOST_FIELDS = 200


def walk_block(body: Sequence[ast.stmt], scope: Scope, reader: Interpreter) -> str | None:
    """Walk statements in order; how they end: None, ``return``, ``raise``, ``break`` or ``continue``."""
    for statement in body:
        reader.spend()
        handler = _HANDLERS.get(type(statement))
        how = None if handler is None else handler(statement, scope, reader)
        if how is not None:
            return how
    return None


def _expr(node: ast.Expr, scope: Scope, reader: Interpreter) -> str | None:
    value = evaluate(node.value, scope, reader)
    ends = isinstance(value, Made) and value.name in {"sys.exit", "builtins.exit", "builtins.quit", "os._exit"}
    return "raise" if ends else None


def _assign(node: ast.Assign, scope: Scope, reader: Interpreter) -> None:
    value = evaluate(node.value, scope, reader)
    for target in node.targets:
        reader.bind(target, value, scope)


def _annotated_assign(node: ast.AnnAssign, scope: Scope, reader: Interpreter) -> None:
    if node.value is not None:
        reader.bind(node.target, evaluate(node.value, scope, reader), scope)


def _augmented_assign(node: ast.AugAssign, scope: Scope, reader: Interpreter) -> None:
    load = ast.copy_location(ast.BinOp(_as_load(node.target), node.op, node.value), node)
    value = evaluate(load, scope, reader)
    is_local = isinstance(node.target, ast.Name) and node.target.id not in scope.declared_global
    reader.bind(node.target, value if is_local or not reader.loops else UNKNOWN, scope)


def _global(node: ast.Global, scope: Scope, _reader: Interpreter) -> None:
    scope.declared_global.update(node.names)


def _return(node: ast.Return, scope: Scope, reader: Interpreter) -> str:
    value = None if node.value is None else evaluate(node.value, scope, reader)
    if reader.stack:
        reader.stack[-1].returned.append(value)
    return "return"


def _raise(_node: ast.Raise, _scope: Scope, _reader: Interpreter) -> str:
    return "raise"


def _break(_node: ast.Break, _scope: Scope, _reader: Interpreter) -> str:
    return "break"


def _continue(_node: ast.Continue, _scope: Scope, _reader: Interpreter) -> str:
    return "continue"


def _if(node: ast.If, scope: Scope, reader: Interpreter) -> str | None:
    known = truth(evaluate(node.test, scope, reader))
    if known is not None:
        return walk_block(node.body if known else node.orelse, scope, reader)
    return _alternatives(node, (node.body, node.orelse), scope, reader, every=_every(node.test, scope, reader))


def _alternatives(
    node: ast.stmt, bodies: Sequence[Sequence[ast.stmt]], scope: Scope, reader: Interpreter, *, every: Value = None
) -> str | None:
    """Walk arms of which one will be taken, each from the same start; a name is known where all that go on agree."""
    before = scope.names
    ends: list[str | None] = []
    going_on: list[dict[str, Value]] = []
    for arm, body in enumerate(bodies):
        scope.names = dict(before)
        reader.branches.append(Branch(id(node), arm, every if arm == 0 else None))
        ends.append(walk_block(body, scope, reader))
        reader.branches.pop()
        if ends[-1] is None:
            going_on.append(scope.names)
    _may_leave(ends, reader)
    if not going_on:
        return ends[0] if len(set(ends)) == 1 else "return"
    scope.names = going_on[0]
    for other in going_on[1:]:
        names = {**scope.names, **other}
        scope.names = {name: merged(scope.names.get(name, UNKNOWN), other.get(name, UNKNOWN)) for name in names}
    return None


def _may_leave(ends: Sequence[str | None], reader: Interpreter) -> None:
    """Note the loops that one of these arms leaves: they may end before they have run as often as they say."""
    around = reader.stack[-1].loops_around if reader.stack else 0
    left = reader.loops[around:] if "return" in ends else reader.loops[-1:] if "break" in ends else []
    for loop in left:
        loop.may_end_early = True


def _every(test: ast.expr, scope: Scope, reader: Interpreter) -> Value:
    """N of ``x % N == 0``, also among others that are joined by ``or``."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return next((found for part in test.values if (found := _every(part, scope, reader)) is not None), None)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        modulo = test.operand
    elif isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq):
        modulo = test.left
    else:
        return None
    if isinstance(modulo, ast.BinOp) and isinstance(modulo.op, ast.Mod):
        return evaluate(modulo.right, scope, reader)
    return None


def _for(node: ast.For | ast.AsyncFor, scope: Scope, reader: Interpreter) -> str | None:
    over = evaluate(node.iter, scope, reader)
    items = reader.items(over)
    if items is not None and len(items) <= _UNROLLED and not _is_range(over):
        return _unroll(node, items, scope, reader)
    _forget_changed(node.body, scope, reader)
    reader.bind(node.target, _item(over), scope)
    return _walk_loop(node, Loop(over, reader.length(over)), scope, reader)


def _walk_loop(node: ast.For | ast.AsyncFor | ast.While, loop: Loop, scope: Scope, reader: Interpreter) -> str | None:
    """Walk a loop's body once, for all of its rounds."""
    reader.loops.append(loop)
    how = walk_block(node.body, scope, reader)
    reader.loops.pop()
    if how in {"break", "return"}:
        loop.may_end_early = True
    _forget_changed(node.body, scope, reader, counters_only=True)
    return "return" if how == "return" else None


def _unroll(node: ast.For | ast.AsyncFor, items: Sequence[Value], scope: Scope, reader: Interpreter) -> str | None:
    for item in items:
        reader.bind(node.target, item, scope)
        how = walk_block(node.body, scope, reader)
        if how == "break":
            break
        if how in {"return", "raise"}:
            return how
    return None


def _while(node: ast.While, scope: Scope, reader: Interpreter) -> str | None:
    count, total = _counted(node, scope, reader)
    if truth(evaluate(node.test, scope, reader)) is False:
        return None
    _forget_changed(node.body, scope, reader)
    return _walk_loop(node, Loop(UNKNOWN, count, total), scope, reader)


def _counted(node: ast.While, scope: Scope, reader: Interpreter) -> tuple[Value, Value]:
    """How often ``while i < N`` runs where its body counts ``i`` by one; N in all where an inner loop does."""
    test = node.test
    if not (isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Lt) and isinstance(test.left, ast.Name)):
        return None, None
    first, limit = scope.find(test.left.id), evaluate(test.comparators[0], scope, reader)
    if not isinstance(first, int) or not isinstance(limit, int):
        return None, None
    if any(_counts(statement, test.left.id) for statement in node.body):
        return limit - first, None
    # An inner loop that is not left at N runs on to its end.
    inner = [
        loop
        for loop in node.body
        if isinstance(loop, ast.For) and any(isinstance(item, ast.Break | ast.Return) for item in ast.walk(loop))
    ]
    if any(_counts(statement, test.left.id) for loop in inner for statement in loop.body):
        return None, limit - first
    return None, None


def _forget_changed(
    body: Sequence[ast.stmt], scope: Scope, reader: Interpreter, *, counters_only: bool = False
) -> None:
    """Names and attributes that a loop's body changes are worth something else in each round."""
    for node in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(node, ast.AugAssign):
            _forget(node.target, scope, reader)
        elif isinstance(node, ast.Assign) and not counters_only:
            for target in node.targets:
                _forget(target, scope, reader)


def _forget(target: ast.expr, scope: Scope, reader: Interpreter) -> None:
    if isinstance(target, ast.Name) and target.id in {*scope.names, *scope.declared_global}:
        scope.assign(target.id, UNKNOWN)
    elif isinstance(target, ast.Attribute | ast.Subscript) and isinstance(target.value, ast.Name):
        reader.bind(target, UNKNOWN, scope)


def _with(node: ast.With | ast.AsyncWith, scope: Scope, reader: Interpreter) -> str | None:
    for item in node.items:
        value = evaluate(item.context_expr, scope, reader)
        if item.optional_vars is not None:
            reader.bind(item.optional_vars, value, scope)
    return walk_block(node.body, scope, reader)


def _try(node: ast.Try, scope: Scope, reader: Interpreter) -> str | None:
    how = walk_block(node.body, scope, reader)
    if how is None:
        how = walk_block(node.orelse, scope, reader)
    elif how == "raise" and node.handlers:
        how = walk_block(node.handlers[0].body, scope, reader)
    return walk_block(node.finalbody, scope, reader) or how


def _match(node: ast.Match, scope: Scope, reader: Interpreter) -> str | None:
    subject = evaluate(node.subject, scope, reader)
    possible: list[Sequence[ast.stmt]] = []
    for case in node.cases:
        known = _matches(case.pattern, subject)
        if known is not False:
            possible.append(case.body)
        if known and case.guard is None:
            break
    else:
        possible.append([])
    if len(possible) == 1:
        return walk_block(possible[0], scope, reader)
    return _alternatives(node, possible, scope, reader)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope, reader: Interpreter) -> None:
    function = Function(node, scope, reader.defaults(node.args, scope))
    function.decorators = [evaluate(decorator, scope, reader) for decorator in node.decorator_list]
    scope.assign(node.name, function)


def _class(node: ast.ClassDef, scope: Scope, reader: Interpreter) -> None:
    inside = Scope({}, scope, scope.module, scope.path)
    walk_block(node.body, inside, reader)
    annotated = [item for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
    names = [item.target.id for item in annotated[:_MOST_FIELDS] if isinstance(item.target, ast.Name)]
    scope.assign(
        node.name,
        Class(
            name=node.name,
            bases=[evaluate(base, scope, reader) for base in node.bases],
            names=inside.names,
            fields={name: inside.names.get(name, MISSING) for name in names},
            annotations=dict(zip(names, (item.annotation for item in annotated), strict=False)),
            decorators=[evaluate(decorator, scope, reader) for decorator in node.decorator_list],
            scope=scope,
        ),
    )


def _import(node: ast.Import, scope: Scope, reader: Interpreter) -> None:
    for alias in node.names:
        module = reader.module(alias.name, scope)
        if alias.asname is not None:
            scope.assign(alias.asname, module)
        else:
            first = alias.name.split(".")[0]
            scope.assign(first, module if alias.name == first else reader.module(first, scope))


def _import_from(node: ast.ImportFrom, scope: Scope, reader: Interpreter) -> None:
    base = reader.module(node.module or "", scope, level=node.level)
    for alias in node.names:
        if alias.name == "*":
            scope.names.update(base.names if isinstance(base, Scope) else {})
            continue
        found = attribute(base, alias.name, reader)
        if isinstance(base, Scope) and alias.name not in base.names:
            found = reader.module(f"{node.module or ''}.{alias.name}".strip("."), scope, level=node.level)
        scope.assign(alias.asname or alias.name, found)


def _item(over: Value) -> Value:
    """What a loop's variable is worth in an unknown round."""
    if isinstance(over, Made) and over.name == "builtins.enumerate" and over.args:
        return (UNKNOWN, _item(over.args[0]))
    return UNKNOWN


def _as_load(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.copy_location(ast.Name(target.id, ast.Load()), target)
    return target


def _counts(statement: ast.stmt, name: str) -> bool:
    """Whether a statement is ``name += 1``."""
    return (
        isinstance(statement, ast.AugAssign)
        and isinstance(statement.target, ast.Name)
        and statement.target.id == name
        and isinstance(statement.op, ast.Add)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value == 1
    )


def _is_range(value: Value) -> bool:
    return isinstance(value, Made)


def _matches(pattern: ast.pattern, subject: Value) -> bool | None:
    if isinstance(pattern, ast.MatchAs) and pattern.pattern is None:
        return True
    if isinstance(pattern, ast.MatchValue) and isinstance(pattern.value, ast.Constant) and is_plain(subject):
        return bool(pattern.value.value == subject)
    return None


_HANDLERS: Mapping[type[ast.stmt], Callable[[Any, Scope, Interpreter], str | None]] = {
    ast.Expr: _expr, ast.Assign: _assign, ast.AnnAssign: _annotated_assign, ast.AugAssign: _augmented_assign,
    ast.Global: _global, ast.Return: _return, ast.Raise: _raise, ast.Break: _break, ast.Continue: _continue,
    ast.If: _if, ast.For: _for, ast.AsyncFor: _for, ast.While: _while, ast.With: _with, ast.AsyncWith: _with,
    ast.Try: _try, ast.Match: _match, ast.FunctionDef: _function, ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class, ast.Import: _import, ast.ImportFrom: _import_from,
}  # fmt: skip
