"""What calls give the parameters of the script's own functions."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from advisor.inspection.reading.reader import Reader
from advisor.inspection.reading.structure import CallSite, Place, Scope, parameters
from advisor.inspection.reading.values import MISSING, UNKNOWN, Function, Made, Value


def given(reader: Reader, scope: Scope, name: str, made: Made) -> Value:
    """A parameter's value in a call."""
    node, names = scope.node, parameters(scope.node)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return UNKNOWN
    arguments, skipped = node.args, int(scope.is_method)
    if arguments.vararg is not None and name == arguments.vararg.arg:
        first = len(arguments.posonlyargs) + len(arguments.args) - skipped
        return tuple(made.args[first:]) if made.complete else UNKNOWN
    if arguments.kwarg is not None and name == arguments.kwarg.arg:
        rest = {key: item for key, item in made.kwargs.items() if key not in names}
        return rest if made.complete else UNKNOWN
    is_positional = name not in {item.arg for item in arguments.kwonlyargs}
    found = made.word(name, names.index(name) - skipped if is_positional else None, MISSING)
    return _default(reader, scope, name) if found is MISSING else found


def _default(reader: Reader, scope: Scope, name: str) -> Value:
    arguments = getattr(scope.node, "args", None)
    if not isinstance(arguments, ast.arguments) or scope.parent is None:
        return UNKNOWN
    place = Place(scope.parent, (), (), (getattr(scope.node, "lineno", 0), 0))
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(positional), reversed(arguments.defaults), strict=False)]
    pairs += [(item, node) for item, node in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if node]
    return next((reader.value(node, place) for item, node in pairs if item.arg == name), UNKNOWN)


def given_by(reader: Reader, scope: Scope, site: CallSite) -> Made:
    """The arguments that a call gives a function, which may be handed to a library that calls it."""
    made = reader.made_at(site)
    handed = handed_at(made, scope)
    if handed is None:
        return made
    given = made.word("args", handed + 1, ())
    is_spawn = made.name.rpartition(".")[2] in {"spawn", "start_processes"}
    if not isinstance(given, list | tuple) or made.name.startswith("."):
        return Made("", complete=False)
    # A library that takes no arguments for it takes them from the command line, or calls it with none.
    return Made("", args=[*([UNKNOWN] if is_spawn else []), *given], complete=bool(given) or not reader.arguments)


def handed_at(made: Made, scope: Scope) -> int | None:
    """The position of a function among a call's arguments, None where it is none of them."""
    for position, item in enumerate([*made.args, *made.kwargs.values()]):
        if isinstance(item, Function) and item.scope is scope:
            return position
    return None


def by_name(calls: Sequence[CallSite]) -> dict[str, list[CallSite]]:
    """Calls by the last name of what they call, and by the names among their arguments."""
    found: dict[str, list[CallSite]] = {}
    for site in calls:
        nodes = [site.node.func, *site.node.args, *(item.value for item in site.node.keywords)]
        names = {node.id if isinstance(node, ast.Name) else getattr(node, "attr", "") for node in nodes}
        for name in names:
            found.setdefault(name, []).append(site)
    return found
