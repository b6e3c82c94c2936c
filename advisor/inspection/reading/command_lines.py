"""A script's own arguments, parsed by the rules that its source states: argparse and what stands on it, and others.

argparse itself does the parsing, from the ``add_argument`` calls that were met, so that abbreviations, ``--no-x`` and
defaults come out as in the job.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from advisor.inspection.configuration import hydra_configuration
from advisor.inspection.reading.expressions import is_plain
from advisor.inspection.reading.parameters import field_default
from advisor.inspection.reading.values import (
    MISSING,
    UNKNOWN,
    Class,
    Dotted,
    Function,
    Instance,
    Made,
    Value,
    tagged,
)
from advisor.inspection.shell.state import HOLE
from advisor.inspection.workload import Source

if TYPE_CHECKING:
    from advisor.inspection.reading.interpreter import Interpreter

_TYPES = {"builtins.int": int, "builtins.float": float, "builtins.str": str, "builtins.bool": bool}
# What a word that is not known comes out as, whatever its type: it must not end the parsing of the others.
_NOT_KNOWN = Made("argument that is not known")
_ACTIONS = frozenset({"store", "store_true", "store_false", "store_const", "append", "count"})
_DATACLASS_PARSERS = frozenset({"HfArgumentParser", "TrlParser"})
_ONE_DATACLASS = frozenset({"tyro.cli", "simple_parsing.parse", "draccus.parse", "pyrallis.parse", "chz.entrypoint"})
_ABSL = {"DEFINE_integer": int, "DEFINE_float": float, "DEFINE_string": str, "DEFINE_bool": bool,
         "DEFINE_boolean": bool, "DEFINE_enum": str}  # fmt: skip


class _CannotParse(Exception):
    """The arguments are not what this parser takes, or its rules are not all known."""


class _Parser(argparse.ArgumentParser):
    """argparse that neither prints nor exits."""

    def error(self, message: str) -> NoReturn:
        raise _CannotParse(message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _CannotParse(message or str(status))


def parsed(made: Made, reader: Interpreter) -> Value:  # noqa: PLR0911 (one line for each kind of parser)
    """What a call of an argument parser returns, MISSING where it is none."""
    last = made.name.rpartition(".")[2]
    if last in _DATACLASS_PARSERS:
        return Made("dataclass parser", args=made.args)
    owner = made.receiver
    if made.name in _ONE_DATACLASS and made.args:
        return _from_callable(made.args[0], reader)
    if last == "Fire" and made.name.split(".")[0] == "fire":
        return _from_callable(made.args[0], reader) if made.args else UNKNOWN
    if last == "run" and made.name.split(".")[0] in {"typer", "absl"} and made.args:
        return _run(made, reader)
    if (
        isinstance(owner, Made)
        and owner.name == "dataclass parser"
        and last in {"parse_args_into_dataclasses", "parse"}
    ):
        return _dataclasses(owner.args[0] if owner.args else None, reader)
    if last in _ABSL and "flags" in made.name:
        reader.flags.append(made)
        return MISSING
    return _argparse(made, reader) if isinstance(owner, Made) else MISSING


def _argparse(made: Made, reader: Interpreter) -> Value:  # noqa: PLR0911 (one line for each method)
    parser, last = made.receiver, made.name[1:]
    if not isinstance(parser, Made) or parser.name.rpartition(".")[2] not in {
        "ArgumentParser",
        "ArgParser",
        "argument group",
    }:
        return MISSING
    rules = parser.attributes.setdefault("rules", [])
    if last == "add_argument":
        rules.append(made)
        return None
    if last in {"add_argument_group", "add_mutually_exclusive_group"}:
        return Made("argument group", attributes={"rules": rules})
    if last == "set_defaults":
        parser.attributes.setdefault("defaults", {}).update(made.kwargs)
        return None
    if last == "add_arguments" and made.args and isinstance(made.args[0], Class):
        dest = made.word("dest", 1)
        parser.attributes.setdefault("dataclasses", {})[dest] = made.args[0]
        return None
    if last not in {"parse_args", "parse_known_args"}:
        return MISSING
    words = made.word("args", 0)
    given = list(words) if isinstance(words, list | tuple) and is_plain(words) else reader.arguments
    if words is not None and given is reader.arguments:
        return UNKNOWN
    namespace = Made("namespace", attributes=_parse(rules, given, parser.attributes.get("defaults", {})))
    for dest, kind in parser.attributes.get("dataclasses", {}).items():
        namespace.attributes[str(dest)] = _instance(kind, given, reader)
    if namespace.attributes.get("__failed__"):
        return (UNKNOWN, UNKNOWN) if last == "parse_known_args" else UNKNOWN
    return (namespace, UNKNOWN) if last == "parse_known_args" else namespace


def _parse(rules: Sequence[Made], words: Sequence[str], defaults: dict[str, Value]) -> dict[str, Value]:
    """Names to values; every value remembers that it is an argument's."""
    parser = _Parser(add_help=False)
    own_defaults: dict[str, Value] = {}
    unreadable: set[str] = set()
    try:
        for rule in rules:
            _add(parser, rule, own_defaults, unreadable)
        namespace, _ = parser.parse_known_args([str(word) for word in words])
    except (_CannotParse, argparse.ArgumentError, TypeError, ValueError):
        return {"__failed__": True}
    found: dict[str, Value] = {}
    for name, value in vars(namespace).items():
        if value is MISSING:
            found[name] = defaults.get(name, own_defaults.get(name, UNKNOWN))
        else:
            found[name] = UNKNOWN if name in unreadable or value is _NOT_KNOWN or _has_hole(value) else value
    return {**defaults, **{name: tagged(value, Source.ARGUMENTS) for name, value in found.items()}}


def _has_hole(value: Value) -> bool:
    return isinstance(value, str) and HOLE in value


def _add(parser: _Parser, rule: Made, defaults: dict[str, Value], unreadable: set[str]) -> None:
    """Add one argument. Its default stays outside of argparse; what a conversion of its own makes is not known."""
    names = [name for name in rule.args if isinstance(name, str)]
    action = rule.word("action", default="store")
    stated = {key: rule.kwargs[key] for key in ("nargs", "dest", "const", "required") if key in rule.kwargs}
    words: dict[str, Any] = {key: value for key, value in stated.items() if is_plain(value)}
    if isinstance(action, Dotted) and action.name.endswith("BooleanOptionalAction"):
        words = {"action": argparse.BooleanOptionalAction}
    elif isinstance(action, str) and action in _ACTIONS:
        words["action"] = action
    elif action in {"help", "version"}:
        return
    kind = rule.word("type")
    known = _TYPES.get(kind.name) if isinstance(kind, Dotted) else None
    if known is not None and words.get("action", "store") in {"store", "append"}:
        words["type"] = lambda text: (
            _NOT_KNOWN if HOLE in text else known(text)
        )  # of anything else argparse takes no type
    added = parser.add_argument(*names, **words, default=MISSING)
    unset = {"store_true": False, "store_false": True}.get(str(action))
    default = rule.word("default", default=unset)
    defaults[added.dest] = known(default) if isinstance(default, str) and known in {int, float} else default
    if kind is not None and known is None:
        unreadable.add(added.dest)


def with_command_line(function: Function, made: Made, reader: Interpreter) -> Made:
    """A call's words, with those that a decorator fills from the command line (Hydra, click)."""
    if made.args or made.kwargs:
        return made
    for decorator in function.decorators:
        if isinstance(decorator, Made) and decorator.name == "hydra.main":
            return Made(made.name, args=[_hydra(decorator, reader)])
    options = [item for item in function.decorators if isinstance(item, Made) and _is_click_option(item)]
    if not options:
        return made
    rules = [_click_rule(item) for item in options]
    return Made(made.name, kwargs=_without_failure(_parse(rules, reader.arguments, {})))


def _hydra(decorator: Made, reader: Interpreter) -> Value:
    from advisor.inspection.reading.calls import as_bag  # noqa: PLC0415 (they call each other)

    path, name = decorator.word("config_path", 0), decorator.word("config_name", 1)
    if not isinstance(path, str) or not isinstance(name, str):
        return UNKNOWN
    words = [word for word in reader.arguments if not word.startswith("-")]
    folder = Path(reader.script.parent, path)
    found = hydra_configuration(folder, name, words)
    if found is None:
        return UNKNOWN
    reader.files.append(folder / name)
    return as_bag(tagged(found, Source.CONFIGURATION))


def _is_click_option(made: Made) -> bool:
    return made.name.rpartition(".")[2] in {"option", "argument"} and made.name.split(".")[0] in {"click", "rich_click"}


def _click_rule(option: Made) -> Made:
    """A click option as argparse would take it."""
    names = [name for name in option.args if isinstance(name, str)]
    flags = [name for name in names if name.startswith("-")]
    plain_names = [name for name in names if not name.startswith("-")]
    kind, default = option.word("type"), option.word("default")
    words: dict[str, Value] = {"default": default}
    if option.word("is_flag") is True:
        words["action"] = "store_true"
    elif isinstance(kind, Dotted):
        words["type"] = Dotted({"click.INT": "builtins.int", "click.FLOAT": "builtins.float"}.get(kind.name, kind.name))
    elif isinstance(default, int | float) and not isinstance(default, bool):
        words["type"] = Dotted(f"builtins.{'int' if isinstance(default, int) else 'float'}")
    if flags and "/" in flags[0]:
        flags, words = (
            [flags[0].split("/")[0]],
            {"default": default, "action": Dotted("argparse.BooleanOptionalAction")},
        )
    if flags and plain_names:
        words["dest"] = plain_names[0]
    elif not flags:
        words.pop("default")
    return Made("add_argument", args=list(flags or plain_names), kwargs=words)


def _without_failure(values: dict[str, Value]) -> dict[str, Value]:
    return {} if values.get("__failed__") else values


def _run(made: Made, reader: Interpreter) -> Value:
    target = made.args[0]
    if made.name.startswith("typer"):
        return _from_callable(target, reader)
    values = _parse([_absl_rule(flag) for flag in reader.flags], reader.arguments, {})
    reader.flag_values.update(_without_failure(values))
    return reader.call(target, Made("", args=[[]])) if isinstance(target, Function) else UNKNOWN


def _absl_rule(flag: Made) -> Made:
    name, default = flag.word("name", 0), flag.word("default", 1)
    kind = _ABSL[flag.name.rpartition(".")[2]]
    words: dict[str, Value] = {"default": default, "type": Dotted(f"builtins.{kind.__name__}")}
    if kind is bool:
        words = {"default": default, "action": Dotted("argparse.BooleanOptionalAction")}
    return Made("add_argument", args=[f"--{name}"], kwargs=words)


def _from_callable(target: Value, reader: Interpreter) -> Value:
    """Call a function, or make a dataclass, with what the command line says for its parameters."""
    if isinstance(target, Class):
        return _instance(target, reader.arguments, reader)
    if not isinstance(target, Function) or isinstance(target.node, ast.Lambda):
        return UNKNOWN
    parameters = [*target.node.args.args, *target.node.args.kwonlyargs]
    rules = [
        _field_rule(parameter.arg, parameter.annotation, _typer_default(target.defaults.get(parameter.arg, MISSING)))
        for parameter in parameters
    ]
    values = _parse(rules, reader.arguments, {})
    return reader.call(target, Made(target.name, kwargs=values)) if "__failed__" not in values else UNKNOWN


def _typer_default(value: Value) -> Value:
    if isinstance(value, Made) and value.name in {"typer.Option", "typer.Argument"}:
        return value.word("default", 0, MISSING)
    return value


def _field_rule(name: str, annotation: ast.expr | None, default: Value) -> Made:
    written = "" if annotation is None else ast.unparse(annotation).replace("Optional[", "").rstrip("]")
    kind = next((word for word in ("int", "float", "bool") if written.split("|")[0].strip() == word), "str")
    if not written and isinstance(default, int | float) and not isinstance(default, bool):
        kind = "int" if isinstance(default, int) else "float"
    words: dict[str, Value] = {"type": Dotted(f"builtins.{kind}"), "default": None if default is MISSING else default}
    if kind == "bool" or isinstance(default, bool):
        words = {"action": Dotted("argparse.BooleanOptionalAction"), "default": default}
    dashed = name.replace("_", "-")
    flags = [f"--{name}"] if dashed == name else [f"--{name}", f"--{dashed}"]
    return Made("add_argument", args=list(flags), kwargs=words)


def _dataclasses(kinds: Value, reader: Interpreter) -> Value:
    kinds = kinds if isinstance(kinds, list | tuple) else [kinds]
    return tuple(_instance(kind, reader.arguments, reader) for kind in kinds)


def _instance(kind: Value, words: Sequence[str], reader: Interpreter) -> Value:
    """A dataclass with its fields from the command line; of another's class (TrainingArguments), the words given."""
    if isinstance(kind, Dotted):
        return Made(kind.name, kwargs=_loose_words(words))
    if not isinstance(kind, Class):
        return UNKNOWN
    rules = [
        _field_rule(name, item.annotations.get(name), field_default(default, reader))
        for item in reversed(list(kind.lineage()))
        for name, default in item.fields.items()
    ]
    values = _without_failure(_parse(rules, words, {}))
    made = Made(kind.name, kwargs={**(_loose_words(words) if kind.derives_from("TrainingArguments") else {}), **values})
    found = reader.call(kind, made)
    return found if isinstance(found, Instance) else UNKNOWN


def _loose_words(words: Sequence[str]) -> dict[str, Value]:
    """``--name value`` and ``--flag`` as they stand, for a parser whose rules are another's; numbers as numbers."""
    found: dict[str, Value] = {}
    for position, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, equals, text = word[2:].partition("=")
        following = words[position + 1] if position + 1 < len(words) else "--"
        raw = text if equals else ("True" if following.startswith("--") else following)
        try:
            value = ast.literal_eval(raw)
        except (ValueError, SyntaxError):
            value = raw
        found[name.replace("-", "_")] = tagged(value, Source.ARGUMENTS)
    return found
