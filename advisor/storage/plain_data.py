"""Frozen dataclasses to plain JSON values and back, checked against their own annotations."""

from __future__ import annotations

import dataclasses
import enum
import functools
import itertools
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, Union

from advisor.errors import TelemetryError


def to_plain(value: object) -> Any:
    """Dataclasses become objects, tuples arrays, enums their values."""
    if dataclasses.is_dataclass(value):
        return {item.name: to_plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: Any, plain: object, *, where: str) -> Any:
    """Build a value of an annotated type; fields that a newer program added are passed over.

    Args:
        kind: a dataclass or an annotation as dataclass fields bear them.
        plain: what JSON held.
        where: the place that a message names.

    Raises:
        TelemetryError: something is missing or of another type.
    """
    try:
        return _reader(kind)(plain)
    except _Mistake as exc:
        raise TelemetryError(f"{where}{exc.place}{exc.what}") from exc


Reader = Callable[[Any], Any]


class _Mistake(Exception):
    """What is wrong, and where below the value that was being read; the place grows on the way up."""

    def __init__(self, what: str, place: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.place = place


@functools.cache
def _reader(kind: Any) -> Reader:
    """How values of a type are read: its annotations are looked at once, not for each value."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {Union, types.UnionType}:
        read = _reader(next(option for option in arguments if option is not type(None)))
        return lambda plain: None if plain is None else read(plain)
    if origin is tuple:
        return _tuple_reader(arguments)
    if dataclasses.is_dataclass(origin or kind):
        return _dataclass_reader(origin or kind, arguments)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return functools.partial(_built, kind)
    return _float if kind is float else functools.partial(_checked, kind)


def _checked(kind: type, plain: Any) -> Any:
    if not isinstance(plain, kind) or (isinstance(plain, bool) and kind is not bool):
        raise _Mistake(f" is {plain!r}, not of type {kind.__name__}.")
    return plain


def _float(plain: Any) -> float:
    if type(plain) is int:
        try:
            return float(plain)
        except OverflowError as exc:  # JSON knows whole numbers of hundreds of digits
            raise _Mistake(" is too large.") from exc
    number: float = _checked(float, plain)
    return number


def _dataclass_reader(kind: Any, arguments: tuple[Any, ...]) -> Reader:
    hints = typing.get_type_hints(kind)
    # Fact[T] and Contender[T]: their T is what the annotation named.
    bound = {name: _bound(hint, arguments[0]) if arguments else hint for name, hint in hints.items()}
    fields = [(item.name, _reader(bound[item.name]), _is_needed(item)) for item in dataclasses.fields(kind)]

    def read(plain: Any) -> Any:
        if not isinstance(plain, Mapping):
            raise _Mistake(" is no object.")
        values = {}
        for name, read_field, is_needed in fields:
            if name in plain:
                try:
                    values[name] = read_field(plain[name])
                except _Mistake as exc:
                    exc.place = f".{name}{exc.place}"
                    raise
            elif is_needed:
                raise _Mistake(" is missing.", f".{name}")
        return _built(lambda named: kind(**named), values)

    return read


def _is_needed(item: dataclasses.Field[Any]) -> bool:
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


def _bound(hint: Any, argument: Any) -> Any:
    if isinstance(hint, TypeVar):
        return argument
    if typing.get_origin(hint) in {Union, types.UnionType}:
        return Union[tuple(_bound(option, argument) for option in typing.get_args(hint))]  # noqa: UP007 (built, not written)
    if typing.get_args(hint):
        return typing.get_origin(hint)[tuple(_bound(option, argument) for option in typing.get_args(hint))]
    return hint


def _built(build: Callable[[Any], Any], plain: Any) -> Any:
    try:
        return build(plain)
    except (TypeError, ValueError) as exc:
        raise _Mistake(f": {exc}") from exc


def _tuple_reader(arguments: tuple[Any, ...]) -> Reader:
    if arguments[-1] is Ellipsis:
        read_item = _reader(arguments[0])
        return lambda plain: _items(itertools.repeat(read_item), plain)
    readers = [_reader(kind) for kind in arguments]

    def read(plain: Any) -> tuple[Any, ...]:
        if isinstance(plain, list) and len(plain) != len(readers):
            raise _Mistake(f" has {len(plain)} items, not {len(readers)}.")
        return _items(readers, plain)

    return read


def _items(readers: Iterable[Reader], plain: Any) -> tuple[Any, ...]:
    if not isinstance(plain, list):
        raise _Mistake(" is no array.")
    found = []
    for index, (read, item) in enumerate(zip(readers, plain, strict=False)):
        try:
            found.append(read(item))
        except _Mistake as exc:
            exc.place = f"[{index}]{exc.place}"
            raise
    return tuple(found)
