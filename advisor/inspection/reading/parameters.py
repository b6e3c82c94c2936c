"""A function's parameters and a dataclass's fields, with what a call gives them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from advisor.inspection.reading.values import MISSING, UNKNOWN, Class, Dotted, Function, Made, Value

if TYPE_CHECKING:
    from advisor.inspection.reading.interpreter import Interpreter


def with_words(before: Made, after: Made) -> Made:
    """The words of a call together with those that ``functools.partial`` keeps."""
    return Made(
        after.name,
        after.receiver,
        [*before.args, *after.args],
        {**before.kwargs, **after.kwargs},
        complete=before.complete and after.complete,
    )


def bound_names(function: Function, made: Made) -> dict[str, Value]:
    """A function's parameters with what a call gave them."""
    arguments = function.node.args
    positional = [parameter.arg for parameter in (*arguments.posonlyargs, *arguments.args)]
    unsaid = MISSING if made.complete else UNKNOWN
    names: dict[str, Value] = {}
    for position, name in enumerate(positional):
        names[name] = made.word(name, position, unsaid)
    for parameter in arguments.kwonlyargs:
        names[parameter.arg] = made.kwargs.get(parameter.arg, unsaid)
    for name, value in names.items():
        names[name] = function.defaults.get(name, UNKNOWN) if value is MISSING else value
    if arguments.vararg is not None:
        names[arguments.vararg.arg] = list(made.args[len(positional) :]) if made.complete else UNKNOWN
    if arguments.kwarg is not None:
        rest = {name: value for name, value in made.kwargs.items() if name not in names}
        names[arguments.kwarg.arg] = rest if made.complete else UNKNOWN
    return names


def field_default(value: Value, reader: Interpreter) -> Value:
    """The default of a dataclass's field, which ``field()`` may state in two ways."""
    if isinstance(value, Made) and value.name.rpartition(".")[2] in {"field", "Field", "MutableField", "ib", "attrib"}:
        factory = value.kwargs.get("default_factory", MISSING)
        if isinstance(factory, Function | Class):
            return reader.call(factory, Made(""))
        if isinstance(factory, Dotted):
            return {"builtins.list": [], "builtins.dict": {}}.get(factory.name, UNKNOWN)
        return value.word("default", 0, MISSING)
    return value


def is_generator(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function yields; what functions inside it do is theirs."""
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        current = waiting.pop()
        if isinstance(current, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(current, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(current)
    return False
