"""What an expression is worth, as far as that can be told without running anything."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from advisor.inspection.reading.values import (
    MISSING,
    UNKNOWN,
    Class,
    Dotted,
    Function,
    Instance,
    Loop,
    Made,
    Method,
    Rows,
    Scope,
    Value,
    merged,
    plain,
    source_of,
    tagged,
)
from advisor.inspection.shell.state import HOLE
from advisor.inspection.workload import Source

if TYPE_CHECKING:
    from advisor.inspection.reading.interpreter import Interpreter

# Results beyond these are no batch size and no epoch count; they only cost memory.
_LONGEST = 10_000
_LARGEST = 10**18

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.BitOr: operator.or_,
}  # fmt: skip
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda one, other: one in other, ast.NotIn: lambda one, other: one not in other,
}  # fmt: skip
PLAIN = (int, float, str, bool, type(None), tuple, list, dict, set)


def evaluate(node: ast.expr | None, scope: Scope, reader: Interpreter) -> Value:
    """The value of an expression, UNKNOWN where it cannot be told; calls that it holds are noted."""
    reader.spend()
    handler = _HANDLERS.get(type(node))
    return UNKNOWN if handler is None else handler(node, scope, reader)


def is_plain(value: Value) -> bool:
    """Whether a value is known through and through."""
    if isinstance(value, dict):
        return all(is_plain(item) for item in value.values())
    if isinstance(value, list | tuple | set):
        return all(is_plain(item) for item in value)
    return isinstance(value, PLAIN)


def truth(value: Value) -> bool | None:
    """Whether a test holds; None where that cannot be told."""
    if isinstance(value, PLAIN):
        return bool(value)
    if isinstance(value, Function | Class | Method):
        return True
    return None


def attribute(owner: Value, name: str, reader: Interpreter) -> Value:  # noqa: PLR0911 (one line for each kind of owner)
    """``owner.name``."""
    if isinstance(owner, Dotted):
        if (owner.name, name) == ("sys", "argv"):
            return [
                str(reader.script),
                *(UNKNOWN if HOLE in word else tagged(word, Source.ARGUMENTS) for word in reader.arguments),
            ]
        is_flag = owner.name.endswith("flags.FLAGS")
        return reader.flag_values.get(name, UNKNOWN) if is_flag else reader.named(f"{owner.name}.{name}")
    if isinstance(owner, Instance):
        return _of_instance(owner, name, reader)
    if isinstance(owner, Class):
        found = owner.find(name)
        return UNKNOWN if found is MISSING else found
    if isinstance(owner, Made) and owner.name == "pathlib.Path" and name in {"parent", "name", "stem"}:
        return _path_part(owner, name)
    if isinstance(owner, Made):
        return owner.attributes.get(name, UNKNOWN)
    if isinstance(owner, Rows) and name == "shape":
        return owner.shape
    if isinstance(owner, Scope):
        return owner.names.get(name, UNKNOWN)
    return UNKNOWN


def _of_instance(owner: Instance, name: str, reader: Interpreter) -> Value:
    if name == "__dict__":
        return owner.attributes
    if name in owner.attributes:
        return owner.attributes[name]
    found = owner.kind.find(name)
    return UNKNOWN if found is MISSING else reader.bound(found, owner)


def _path_part(path: Made, name: str) -> Value:
    if len(path.args) != 1 or not isinstance(path.args[0], str):
        return UNKNOWN
    found = getattr(PurePath(path.args[0]), name)
    return Made("pathlib.Path", args=[str(found)]) if name == "parent" else found


def _constant(node: ast.Constant, _scope: Scope, _reader: Interpreter) -> Value:
    return node.value


def _name(node: ast.Name, scope: Scope, _reader: Interpreter) -> Value:
    found = scope.find(node.id)
    return Dotted(f"builtins.{node.id}") if found is MISSING else found


def _attribute(node: ast.Attribute, scope: Scope, reader: Interpreter) -> Value:
    return attribute(evaluate(node.value, scope, reader), node.attr, reader)


def _sequence(node: ast.List | ast.Tuple | ast.Set, scope: Scope, reader: Interpreter) -> Value:
    items: list[Value] = []
    for element in node.elts:
        if isinstance(element, ast.Starred):
            inner = evaluate(element.value, scope, reader)
            if not isinstance(inner, list | tuple):
                return UNKNOWN
            items += inner
        else:
            items.append(evaluate(element, scope, reader))
    if isinstance(node, ast.Tuple):
        return tuple(items)
    return items if isinstance(node, ast.List) else UNKNOWN


def _dict(node: ast.Dict, scope: Scope, reader: Interpreter) -> Value:
    found: dict[Any, Value] = {}
    for key, item in zip(node.keys, node.values, strict=True):
        value = evaluate(item, scope, reader)
        if key is None:
            if not isinstance(value, dict):
                return UNKNOWN
            found.update(value)
            continue
        name = evaluate(key, scope, reader)
        if not isinstance(name, int | str | float | bool | None):
            return UNKNOWN
        found[name] = value
    return found


def _binary(node: ast.BinOp, scope: Scope, reader: Interpreter) -> Value:
    left, right = evaluate(node.left, scope, reader), evaluate(node.right, scope, reader)
    if (
        isinstance(node.op, ast.Div)
        and isinstance(left, Made)
        and left.name == "pathlib.Path"
        and isinstance(right, str)
    ):
        return Made(left.name, args=[str(PurePath(*[str(part) for part in left.args], right))])
    return compute(_BINARY.get(type(node.op)), left, right)


def compute(  # noqa: PLR0911 (one line for each bound)
    operation: Callable[[Any, Any], Any] | None, left: Value, right: Value
) -> Value:
    """An operation on two known values, UNKNOWN where they are not known or it would grow without bounds."""
    if isinstance(left, Rows) and isinstance(right, int | float | Rows):
        return left
    if operation is None or not isinstance(left, PLAIN) or not isinstance(right, PLAIN):
        return UNKNOWN
    if operation is operator.pow and (abs(plain_number(left)) > 1e4 or abs(plain_number(right)) > 64):  # noqa: PLR2004
        return UNKNOWN
    if operation is operator.mul and any(isinstance(item, str | list | tuple) for item in (left, right)):
        count = next((item for item in (left, right) if isinstance(item, int)), 0)
        size = next((len(item) for item in (left, right) if isinstance(item, str | list | tuple)), 0)
        if count * size > _LONGEST:
            return UNKNOWN
    try:
        result = operation(left, right)
    except (TypeError, ValueError, ArithmeticError, KeyError):
        return UNKNOWN
    if isinstance(result, int) and abs(result) > _LARGEST:
        return UNKNOWN
    return with_source(result, left, right)


def with_source(result: Value, *origins: Value) -> Value:
    """The result of a computation, with the source of what it was computed from."""
    source = source_of(*origins)
    return result if source is Source.SOURCE_CODE else tagged(result, source)


def range_length(made: Made) -> Value:
    """How many numbers a ``range`` has, None where that is unknown."""
    if not made.args or not all(isinstance(item, int) for item in made.args):
        return None
    try:
        return with_source(len(range(*made.args)), *made.args)
    except (ValueError, OverflowError, TypeError):
        return None


def plain_number(value: Value) -> float:
    """A number as it is, 0 for anything else: for bounds."""
    return value if isinstance(value, int | float) else 0


def _unary(node: ast.UnaryOp, scope: Scope, reader: Interpreter) -> Value:
    value = evaluate(node.operand, scope, reader)
    if isinstance(node.op, ast.Not):
        known = truth(value)
        return UNKNOWN if known is None else not known
    if isinstance(node.op, ast.USub) and isinstance(value, int | float):
        return with_source(-value, value)
    return UNKNOWN


def _bool(node: ast.BoolOp, scope: Scope, reader: Interpreter) -> Value:
    stops_at = isinstance(node.op, ast.Or)
    value: Value = UNKNOWN
    unknown = False
    for part in node.values:
        value = evaluate(part, scope, reader)
        known = truth(value)
        if known is stops_at and not unknown:
            return value
        if known is stops_at and isinstance(value, bool):
            return value  # whatever the unknown part is, the whole is this
        unknown = unknown or known is None
    return UNKNOWN if unknown else value


def _compare(node: ast.Compare, scope: Scope, reader: Interpreter) -> Value:
    left = evaluate(node.left, scope, reader)
    result: Value = True
    for test, comparator in zip(node.ops, node.comparators, strict=True):
        right = evaluate(comparator, scope, reader)
        result = _compared(test, left, right)
        if result is not True:
            return result
        left = right
    return result


def _compared(test: ast.cmpop, left: Value, right: Value) -> Value:
    if isinstance(test, ast.Is | ast.IsNot):
        if left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        return (left is right) is isinstance(test, ast.Is)
    if isinstance(left, Dotted) and isinstance(right, Dotted) and isinstance(test, ast.Eq | ast.NotEq):
        return (left.name == right.name) is isinstance(test, ast.Eq)
    if not is_plain(left) or not is_plain(right):
        return UNKNOWN
    try:
        return bool(_COMPARE[type(test)](left, right))
    except TypeError:
        return UNKNOWN


def _conditional(node: ast.IfExp, scope: Scope, reader: Interpreter) -> Value:
    known = truth(evaluate(node.test, scope, reader))
    if known is not None:
        return evaluate(node.body if known else node.orelse, scope, reader)
    return merged(evaluate(node.body, scope, reader), evaluate(node.orelse, scope, reader))


def _subscript(node: ast.Subscript, scope: Scope, reader: Interpreter) -> Value:
    owner = evaluate(node.value, scope, reader)
    if isinstance(node.slice, ast.Slice):
        return _slice(owner, node.slice, scope, reader)
    key = evaluate(node.slice, scope, reader)
    return item_of(owner, key, reader)


def item_of(owner: Value, key: Value, reader: Interpreter) -> Value:  # noqa: PLR0911 (one line for each kind of owner)
    """``owner[key]``."""
    if isinstance(owner, dict | list | tuple | str) and isinstance(key, int | str | float | bool):
        try:
            return owner[key]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return UNKNOWN
    if isinstance(owner, Dotted) and owner.name == "os.environ" and isinstance(key, str):
        return reader.environment_value(key, UNKNOWN)
    if isinstance(owner, Made) and isinstance(key, str):
        return owner.attributes.get(key, UNKNOWN)
    if isinstance(owner, Rows) and isinstance(key, int):
        return Rows(owner.shape[1:])
    if isinstance(owner, Instance):
        return owner.attributes.get(key, UNKNOWN) if isinstance(key, str) else UNKNOWN
    return UNKNOWN


def _slice(owner: Value, part: ast.Slice, scope: Scope, reader: Interpreter) -> Value:
    ends = [None if end is None else evaluate(end, scope, reader) for end in (part.lower, part.upper, part.step)]
    if not all(end is None or isinstance(end, int) for end in ends):
        return Rows((UNKNOWN, *owner.shape[1:])) if isinstance(owner, Rows) else UNKNOWN
    if isinstance(owner, list | tuple | str):
        return owner[slice(*ends)]
    if isinstance(owner, Rows) and owner.shape and isinstance(owner.shape[0], int) and owner.shape[0] <= _LARGEST:
        rows: Value = len(range(*slice(*ends).indices(owner.shape[0])))
        return Rows((with_source(rows, owner.shape[0], *ends), *owner.shape[1:]))
    return UNKNOWN


def _joined(node: ast.JoinedStr, scope: Scope, reader: Interpreter) -> Value:
    parts: list[Value] = []
    for part in node.values:
        value = evaluate(part.value if isinstance(part, ast.FormattedValue) else part, scope, reader)
        if not isinstance(value, int | float | str) or getattr(part, "format_spec", None) is not None:
            return UNKNOWN
        parts.append(value)
    return with_source("".join(str(plain(part)) for part in parts), *parts)


def _lambda(node: ast.Lambda, scope: Scope, reader: Interpreter) -> Value:
    return Function(node, scope, reader.defaults(node.args, scope))


def _comprehension(node: ast.ListComp | ast.DictComp | ast.GeneratorExp, scope: Scope, reader: Interpreter) -> Value:
    """Unrolled over a known list with one variable; otherwise looked through once, for the calls that it holds."""
    inner = Scope({}, scope, scope.module, scope.path)
    first = node.generators[0]
    over = evaluate(first.iter, scope, reader)
    is_simple = len(node.generators) == 1 and not first.ifs
    items = reader.items(over) if is_simple else None
    if items is None:
        count = reader.length(over) if is_simple else None
        reader.bind(first.target, UNKNOWN, inner)
        reader.loops.append(Loop(over, count, may_end_early=not is_simple))
        _element(node, inner, reader)
        reader.loops.pop()
        return UNKNOWN if count is None or isinstance(node, ast.DictComp) else Rows((count,))
    results: list[Value] = []
    for item in items:
        reader.bind(first.target, item, inner)
        results.append(_element(node, inner, reader))
    if isinstance(node, ast.DictComp):
        return dict(results) if all(isinstance(key, int | str) for key, _ in results) else UNKNOWN
    return results


def _element(node: ast.ListComp | ast.DictComp | ast.GeneratorExp, scope: Scope, reader: Interpreter) -> Value:
    """What a comprehension makes of one item; of a dictionary's, key and value."""
    if isinstance(node, ast.DictComp):
        return evaluate(node.key, scope, reader), evaluate(node.value, scope, reader)
    return evaluate(node.elt, scope, reader)


def _walrus(node: ast.NamedExpr, scope: Scope, reader: Interpreter) -> Value:
    value = evaluate(node.value, scope, reader)
    reader.bind(node.target, value, scope)
    return value


def _call(node: ast.Call, scope: Scope, reader: Interpreter) -> Value:
    return reader.call_node(node, scope)


def _await(node: ast.Await | ast.Starred, scope: Scope, reader: Interpreter) -> Value:
    return evaluate(node.value, scope, reader)


_HANDLERS: Mapping[Any, Callable[[Any, Scope, Interpreter], Value]] = {
    ast.Constant: _constant, ast.Name: _name, ast.Attribute: _attribute, ast.List: _sequence, ast.Tuple: _sequence,
    ast.Set: _sequence, ast.Dict: _dict, ast.BinOp: _binary, ast.UnaryOp: _unary, ast.BoolOp: _bool,
    ast.Compare: _compare, ast.IfExp: _conditional, ast.Subscript: _subscript, ast.JoinedStr: _joined,
    ast.Lambda: _lambda, ast.ListComp: _comprehension, ast.GeneratorExp: _comprehension,
    ast.DictComp: _comprehension, ast.NamedExpr: _walrus, ast.Call: _call, ast.Await: _await, ast.Starred: _await,
}  # fmt: skip
