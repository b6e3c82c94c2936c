"""The script's arguments by the script's own rules: argparse, and Hugging Face's parser of a library's classes."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from advisor.inspection.reading.values import (
    MISSING,
    UNKNOWN,
    Dotted,
    Made,
    Value,
    is_plain,
    tagged,
)
from advisor.inspection.shell.state import HOLE
from advisor.inspection.workload import Source

if TYPE_CHECKING:
    from advisor.inspection.reading.reader import Reader

_TYPES = {"builtins.int": int, "builtins.float": float, "builtins.str": str, "builtins.bool": bool}
_PARSERS = frozenset({"ArgumentParser", "ArgParser"})
_GROUPS = frozenset({".add_argument_group", ".add_mutually_exclusive_group"})
_DATACLASS_PARSERS = frozenset({"HfArgumentParser", "TrlParser"})
_ACTIONS = frozenset({"store", "store_true", "store_false", "store_const", "append", "count"})
# What an argument that is not known comes out as, whatever its type: it must not end the parsing of the others.
_NOT_KNOWN = Made("argument that is not known")


class _CannotParse(Exception):
    """The arguments are not what this parser takes, or its rules are not all known."""


class _Parser(argparse.ArgumentParser):
    """argparse that neither prints nor exits."""

    def error(self, message: str) -> NoReturn:
        raise _CannotParse(message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _CannotParse(message or str(status))


def parsed(made: Made, reader: Reader) -> Value:
    """What a call of an argument parser returns, MISSING where it is none."""
    parser, last = made.receiver, made.name.rpartition(".")[2]
    if not isinstance(parser, Made):
        return MISSING
    kind = parser.name.rpartition(".")[2]
    if kind in _DATACLASS_PARSERS and last in {"parse_args_into_dataclasses", "parse_args_and_config"}:
        kinds = parser.word("dataclass_types", 0)
        kinds = kinds if isinstance(kinds, list | tuple) else [kinds]
        return tuple(_instance(item, reader) for item in kinds)
    if kind not in _PARSERS or last not in {"parse_args", "parse_known_args"}:
        return MISSING
    words = made.word("args", 0)
    if words is not None and not (isinstance(words, list | tuple) and is_plain(words)):
        return UNKNOWN
    rules = [rule for rule, _certain in _of(parser, "add_argument", reader)]
    defaults = _of(parser, "set_defaults", reader)
    stated = {name: value for call, _certain in defaults for name, value in call.kwargs.items()}
    known = all(call.complete and certain for call, certain in defaults)
    found = _parse(rules, reader.arguments if words is None else words, stated, known=known)
    namespace: Value = UNKNOWN if found is None else Made("namespace", attributes=found[0])
    if last == "parse_args":
        return namespace
    return namespace, UNKNOWN if found is None else [tagged(word, Source.ARGUMENTS) for word in found[1]]


def _of(parser: Made, method: str, reader: Reader) -> list[tuple[Made, bool]]:
    """The calls of a parser's method, on itself or one of its groups, and whether each is made for sure."""
    found: list[tuple[Made, bool]] = []
    for site in reader.sites.get(method, ()):
        owner = reader.receiver(site)
        if isinstance(owner, Made) and owner.name in _GROUPS:
            owner = owner.receiver
        if isinstance(owner, Made) and (owner is parser or owner.origin is parser.origin):
            holds = reader.holds(site.place.guards)
            found += [] if holds is False else [(reader.made_at(site), holds is True)]
    return found


def _parse(
    rules: Sequence[Made], words: Sequence[str], defaults: dict[str, Value], *, known: bool = True
) -> tuple[dict[str, Value], list[str]] | None:
    """Names to values, and the arguments that are left over; None where the rules do not take the arguments.

    Every value remembers that it is an argument's. ``known`` is whether all defaults are.
    """
    parser = _Parser(add_help=False)
    own_defaults: dict[str, Value] = {}
    unreadable: set[str] = set()
    try:
        for rule in rules:
            _add(parser, rule, own_defaults, unreadable)
        namespace, rest = parser.parse_known_args([str(word) for word in words])
    except (_CannotParse, argparse.ArgumentError, TypeError, ValueError):
        return None
    found: dict[str, Value] = {}
    for name, value in vars(namespace).items():
        if value is MISSING:
            found[name] = defaults.get(name, own_defaults.get(name, UNKNOWN)) if known else UNKNOWN
        else:
            hidden = name in unreadable or value is _NOT_KNOWN or (isinstance(value, str) and HOLE in value)
            found[name] = UNKNOWN if hidden else value
    return {**defaults, **{name: tagged(value, Source.ARGUMENTS) for name, value in found.items()}}, rest


def _add(parser: _Parser, rule: Made, defaults: dict[str, Value], unreadable: set[str]) -> None:
    """Add one argument. Its default stays outside of argparse; what a conversion of its own makes is not known."""
    names = [name for name in rule.args if isinstance(name, str)]
    action = rule.word("action", default="store")
    stated = {key: rule.kwargs[key] for key in ("nargs", "dest", "const", "required") if key in rule.kwargs}
    words: dict[str, Any] = {key: value for key, value in stated.items() if is_plain(value)}
    if isinstance(action, str) and action in _ACTIONS:
        words["action"] = action
    elif action in {"help", "version"}:
        return
    kind = rule.word("type")
    known = _TYPES.get(kind.name) if isinstance(kind, Dotted) else None
    if known is not None and words.get("action", "store") in {"store", "append"}:
        words["type"] = lambda text: _NOT_KNOWN if HOLE in text else known(text)
    added = parser.add_argument(*names, **words, default=MISSING)
    default = rule.word("default", default={"store_true": False, "store_false": True}.get(str(action)))
    defaults[added.dest] = known(default) if isinstance(default, str) and known in {int, float} else default
    if kind is not None and known is None:
        unreadable.add(added.dest)


def _instance(kind: Value, reader: Reader) -> Value:
    """A library's class with the arguments that are given; UNKNOWN for a dataclass of the script's own."""
    return Made(kind.name, kwargs=_given(reader.arguments)) if isinstance(kind, Dotted) else UNKNOWN


def _given(words: Sequence[str]) -> dict[str, Value]:
    """``--name value`` and ``--flag`` as they stand, for a parser whose rules are a library's; numbers as numbers."""
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
            value = UNKNOWN if HOLE in raw else raw
        found[name.replace("-", "_")] = tagged(value, Source.ARGUMENTS)
    return found
