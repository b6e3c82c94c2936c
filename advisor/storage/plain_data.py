"""Frozen dataclasses to plain JSON values and back, checked against their own annotations."""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Mapping
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
    origin = typing.get_origin(kind)
    if origin in {Union, types.UnionType}:
        chosen = next(option for option in typing.get_args(kind) if option is not type(None))
        return None if plain is None else from_plain(chosen, plain, where=where)
    if origin is tuple:
        return _tuple(typing.get_args(kind), plain, where)
    if dataclasses.is_dataclass(origin or kind):
        return _dataclass(origin or kind, typing.get_args(kind), plain, where)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _built(kind, plain, where)
    if kind is float and isinstance(plain, int) and not isinstance(plain, bool):
        return _float(plain, where)
    if not isinstance(plain, kind) or (isinstance(plain, bool) and kind is not bool):
        raise TelemetryError(f"{where} is {plain!r}, not of type {kind.__name__}.")
    return plain


def _float(plain: int, where: str) -> float:
    try:
        return float(plain)
    except OverflowError as exc:  # JSON knows whole numbers of hundreds of digits
        raise TelemetryError(f"{where} is too large.") from exc


def _dataclass(kind: Any, arguments: tuple[Any, ...], plain: object, where: str) -> Any:
    if not isinstance(plain, Mapping):
        raise TelemetryError(f"{where} is no object.")
    values = {}
    for item in dataclasses.fields(kind):
        if item.name in plain:
            hint = _hints(kind)[item.name]
            if arguments:  # Fact[T] and Contender[T]: their T is what the annotation named
                hint = _bound(hint, arguments[0])
            values[item.name] = from_plain(hint, plain[item.name], where=f"{where}.{item.name}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise TelemetryError(f"{where}.{item.name} is missing.")
    return _built(functools.partial(kind, **values), None, where)


def _bound(hint: Any, argument: Any) -> Any:
    if isinstance(hint, TypeVar):
        return argument
    if typing.get_origin(hint) in {Union, types.UnionType}:
        return Union[tuple(_bound(option, argument) for option in typing.get_args(hint))]  # noqa: UP007 (built, not written)
    if typing.get_args(hint):
        return typing.get_origin(hint)[tuple(_bound(option, argument) for option in typing.get_args(hint))]
    return hint


def _built(build: Any, plain: object, where: str) -> Any:
    try:
        return build() if plain is None else build(plain)
    except (TypeError, ValueError) as exc:
        raise TelemetryError(f"{where}: {exc}") from exc


def _tuple(arguments: tuple[Any, ...], plain: object, where: str) -> tuple[Any, ...]:
    if not isinstance(plain, list):
        raise TelemetryError(f"{where} is no array.")
    kinds = [arguments[0]] * len(plain) if arguments[-1] is Ellipsis else list(arguments)
    if len(kinds) != len(plain):
        raise TelemetryError(f"{where} has {len(plain)} items, not {len(kinds)}.")
    return tuple(
        from_plain(kind, item, where=f"{where}[{index}]")
        for index, (kind, item) in enumerate(zip(kinds, plain, strict=True))
    )


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
