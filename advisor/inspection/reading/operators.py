"""Python's displays and operators on values of which some are not known."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from advisor.inspection.reading.values import (
    PLAIN,
    UNKNOWN,
    Dotted,
    Made,
    Rows,
    Value,
    agreed,
    is_plain,
    truth,
    with_source,
)

# Results beyond these are no batch size and no epoch count; they only cost memory.
_LONGEST, _LARGEST, _LARGEST_POWER = 10_000, 10**18, 64

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.BitOr: operator.or_,
}  # fmt: skip
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda one, other: one in other, ast.NotIn: lambda one, other: one not in other,
}  # fmt: skip

Evaluate = Callable[["ast.expr | None"], Value]


def combined(node: ast.expr, value: Evaluate) -> Value:
    """The value of a display or an operator; ``value`` evaluates its parts. UNKNOWN for any other expression."""
    handler = _HANDLERS.get(type(node))
    return UNKNOWN if handler is None else handler(node, value)


def _constant(node: ast.Constant, _value: Evaluate) -> Value:
    return node.value


def _sequence(node: ast.List | ast.Tuple, value: Evaluate) -> Value:
    if any(isinstance(element, ast.Starred) for element in node.elts):
        return UNKNOWN
    items = [value(element) for element in node.elts]
    return tuple(items) if isinstance(node, ast.Tuple) else items


def _dict(node: ast.Dict, value: Evaluate) -> Value:
    found: dict[Any, Value] = {}
    for key, item in zip(node.keys, node.values, strict=True):
        name = None if key is None else value(key)
        inner = value(item)
        if key is None and isinstance(inner, dict):
            found.update(inner)
        elif key is not None and isinstance(name, int | str | float | bool | None):
            found[name] = inner
        else:
            return UNKNOWN
    return found


def _binary(node: ast.BinOp, value: Evaluate) -> Value:
    left, right = value(node.left), value(node.right)
    if isinstance(node.op, ast.Div) and isinstance(left, Made) and left.name == "pathlib.Path":
        return Made(left.name, args=[*left.args, right])
    if isinstance(left, Rows) and isinstance(right, int | float | Rows):
        return left
    operation = _BINARY.get(type(node.op))
    if operation is None or not isinstance(left, PLAIN) or not isinstance(right, PLAIN) or _grows(node.op, left, right):
        return UNKNOWN
    try:
        result = operation(left, right)
    except (TypeError, ValueError, ArithmeticError, KeyError):
        return UNKNOWN
    return UNKNOWN if isinstance(result, int) and abs(result) > _LARGEST else with_source(result, left, right)


def _grows(operation: ast.operator, left: Value, right: Value) -> bool:
    """Whether a result may be too large to be computed."""
    numbers = [item for item in (left, right) if isinstance(item, int | float)]
    if isinstance(operation, ast.Pow):
        return len(numbers) < 2 or abs(left) > _LONGEST or abs(right) > _LARGEST_POWER  # noqa: PLR2004 (both sides)
    sizes = [len(item) for item in (left, right) if isinstance(item, str | list | tuple)]
    return isinstance(operation, ast.Mult) and bool(sizes) and bool(numbers) and sizes[0] * numbers[0] > _LONGEST


def _unary(node: ast.UnaryOp, value: Evaluate) -> Value:
    operand = value(node.operand)
    if isinstance(node.op, ast.Not):
        known = truth(operand)
        return UNKNOWN if known is None else not known
    is_number = isinstance(node.op, ast.USub) and isinstance(operand, int | float)
    return with_source(-operand, operand) if is_number else UNKNOWN


def _bool(node: ast.BoolOp, value: Evaluate) -> Value:
    stops_at = isinstance(node.op, ast.Or)
    found: Value = UNKNOWN
    unknown = False
    for part in node.values:
        found = value(part)
        known = truth(found)
        # Whatever the unknown parts before it are, the whole is as true as this one.
        if known is stops_at and (not unknown or isinstance(found, bool)):
            return found
        unknown = unknown or known is None
    return UNKNOWN if unknown else found


def _compare(node: ast.Compare, value: Evaluate) -> Value:
    left = value(node.left)
    result: Value = True
    for test, comparator in zip(node.ops, node.comparators, strict=True):
        right = value(comparator)
        result = _compared(test, left, right)
        if result is not True:
            return result
        left = right
    return result


def _compared(test: ast.cmpop, left: Value, right: Value) -> Value:
    if isinstance(test, ast.Is | ast.IsNot):
        unclear = left is UNKNOWN or right is UNKNOWN
        return UNKNOWN if unclear else (left is right) is isinstance(test, ast.Is)
    if isinstance(left, Dotted) and isinstance(right, Dotted) and isinstance(test, ast.Eq | ast.NotEq):
        return (left.name == right.name) is isinstance(test, ast.Eq)
    if not is_plain(left) or not is_plain(right):
        return UNKNOWN
    try:
        return bool(_COMPARE[type(test)](left, right))
    except TypeError:
        return UNKNOWN


def _conditional(node: ast.IfExp, value: Evaluate) -> Value:
    known = truth(value(node.test))
    if known is not None:
        return value(node.body if known else node.orelse)
    return agreed([value(node.body), value(node.orelse)])


def _inner(node: ast.NamedExpr | ast.Await | ast.Starred, value: Evaluate) -> Value:
    return value(node.value)


def sliced(owner: Value, ends: Sequence[Value]) -> Value:
    """``owner[start:stop:step]``."""
    if not all(end is None or isinstance(end, int) for end in ends):
        return Rows((UNKNOWN, *owner.shape[1:])) if isinstance(owner, Rows) else UNKNOWN
    if isinstance(owner, list | tuple | str):
        return owner[slice(*ends)]
    if isinstance(owner, Rows) and owner.shape and isinstance(owner.shape[0], int) and owner.shape[0] <= _LARGEST:
        rows: Value = len(range(*slice(*ends).indices(owner.shape[0])))
        return Rows((with_source(rows, owner.shape[0], *ends), *owner.shape[1:]))
    return UNKNOWN


def length(value: Value) -> Value:
    """How many items a loop meets, None where that is unknown."""
    if isinstance(value, Made) and value.args and value.name == "builtins.range":
        if not all(isinstance(item, int) for item in value.args):
            return None
        try:
            return with_source(len(range(*value.args)), *value.args)
        except (ValueError, OverflowError, TypeError):
            return None
    if isinstance(value, Made) and value.args and value.name in {"builtins.enumerate", "tqdm.tqdm", "tqdm.auto.tqdm"}:
        return length(value.args[0])
    return len(value) if isinstance(value, list | tuple | dict) else None


_HANDLERS: Mapping[type[ast.expr], Callable[[Any, Evaluate], Value]] = {
    ast.Constant: _constant, ast.List: _sequence, ast.Tuple: _sequence, ast.Dict: _dict, ast.BinOp: _binary,
    ast.UnaryOp: _unary, ast.BoolOp: _bool, ast.Compare: _compare, ast.IfExp: _conditional,
    ast.NamedExpr: _inner, ast.Await: _inner, ast.Starred: _inner,
}  # fmt: skip
