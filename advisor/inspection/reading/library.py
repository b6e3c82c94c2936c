"""What well-known calls return: plain functions of Python, arrays, configuration files, wrappers of functions."""

from __future__ import annotations

import ast
import os.path
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from advisor.inspection.configuration import read_configuration
from advisor.inspection.reading.datasets import batches_of, created, loader_of, published, samples_of
from advisor.inspection.reading.values import (
    MISSING,
    UNKNOWN,
    Dotted,
    Function,
    Instance,
    Made,
    Value,
    is_plain,
    tagged,
    with_source,
)
from advisor.inspection.workload import Source

if TYPE_CHECKING:
    from advisor.inspection.reading.reader import Reader

_PURE: Mapping[str, Callable[..., Any]] = {
    "builtins.int": int, "builtins.float": float, "builtins.str": str, "builtins.bool": bool, "builtins.max": max,
    "builtins.min": min, "builtins.abs": abs, "builtins.round": round, "builtins.sum": sum, "builtins.sorted": sorted,
    "builtins.list": list, "builtins.tuple": tuple, "os.path.join": os.path.join, "os.path.basename": os.path.basename,
    "os.path.dirname": os.path.dirname, "os.path.abspath": os.path.normpath, "os.path.realpath": os.path.normpath,
}  # fmt: skip
# Calls that hand back what they were given, as far as a training's facts go.
_TRANSPARENT = frozenset(
    {"jit", "pmap", "vmap", "compile", "function", "script", "asarray", "array", "as_tensor", "tensor", "from_numpy",
     "convert_to_tensor", "constant", "deepcopy", "to_absolute_path"}
)  # fmt: skip
_TRANSPARENT_METHODS = frozenset({".to", ".cuda", ".cpu", ".train", ".eval", ".resolve", ".expanduser", ".absolute"})
_LOADERS = frozenset(
    {"json.load", "json.loads", "yaml.safe_load", "yaml.load", "yaml.full_load", "tomllib.load", "tomllib.loads",
     "tomli.load", "toml.load", "toml.loads"}
)  # fmt: skip


def result_of(made: Made, reader: Reader) -> Value:
    """What a call returns; the call itself where that is nothing that is known here."""
    for handler in (_pure, _collection, _method, _file, _wrapper, _data):
        found = handler(made, reader)
        if found is not MISSING:
            return found
    return made


def _pure(made: Made, reader: Reader) -> Value:
    if made.name in {"os.environ.get", "os.getenv"}:
        name = made.word("key", 0)
        found = reader.item(_ENVIRON, name) if isinstance(name, str) else UNKNOWN
        return made.word("default", 1) if found is UNKNOWN and name not in reader.environment else found
    if made.name == "torch.cuda.is_available":
        return True  # a job that is advised a GPU has one
    function = _PURE.get(made.name)
    if function is None:
        return MISSING
    if not made.complete or made.kwargs or not all(is_plain(item) for item in made.args):
        return UNKNOWN
    try:
        return with_source(function(*made.args), *made.args)
    except (TypeError, ValueError, ArithmeticError):
        return UNKNOWN


_ENVIRON = Dotted("os.environ")


def _collection(made: Made, reader: Reader) -> Value:
    first = made.args[0] if made.args else None
    if made.name == "builtins.len":
        return _length(first)
    if made.name == "builtins.dict":
        return {**(first if isinstance(first, dict) else {}), **made.kwargs} if made.complete else UNKNOWN
    if made.name == "builtins.getattr" and len(made.args) == 2 and isinstance(made.args[1], str):  # noqa: PLR2004 (no default)
        return reader.attribute(first, made.args[1])
    return MISSING


def _length(value: Value) -> Value:
    if isinstance(value, list | tuple | dict | str):
        return len(value)
    if isinstance(value, Instance):
        return value.measure(value)
    loader = loader_of(value)
    return batches_of(loader) if loader is not None else samples_of(value)


def _method(made: Made, reader: Reader) -> Value:
    owner, name = made.receiver, made.name[1:]
    if not made.name.startswith("."):
        return MISSING
    if isinstance(owner, dict) and name == "get" and made.args:
        found = reader.item(owner, made.args[0])
        return found if found is not UNKNOWN or made.args[0] in owner else made.word("default", 1)
    if name == "with_name" and isinstance(owner, Made) and owner.name == "pathlib.Path" and (path := _path(owner)):
        return Made(owner.name, args=[os.path.dirname(path), *made.args])  # noqa: PTH120 (text)
    if made.name in _TRANSPARENT_METHODS and owner is not None and owner is not UNKNOWN:
        return owner
    return MISSING


def _file(made: Made, reader: Reader) -> Value:
    if made.name in {"builtins.open", ".open", ".read_text", ".read"}:
        first = made.receiver if made.receiver is not None else made.word("file", 0)
        path = _path(first)
        return Made("open", attributes={"path": path}) if path is not None else MISSING
    if made.name not in _LOADERS or not made.args:
        return MISSING
    path = _path(made.args[0])
    found = None if path is None else read_configuration(Path(reader.folder, path))
    if path is None or found is None:
        return UNKNOWN
    reader.files.append(Path(reader.folder, path))
    return tagged(found, Source.CONFIGURATION)


def _path(value: Value) -> str | None:
    """The path that a string, a ``Path`` or an open file names."""
    if isinstance(value, str):
        return value
    if isinstance(value, Made) and value.name == "open":
        return value.attributes.get("path")
    if isinstance(value, Made) and value.name.rpartition(".")[2] == "Path":
        parts = [_path(part) for part in value.args]
        return os.path.join(*[part for part in parts if part]) if parts and all(parts) else None  # noqa: PTH118 (text)
    return None


def path_part(path: Made, name: str) -> Value:
    """``parent``, ``name`` or ``stem`` of a path."""
    text = _path(path)
    if text is None:
        return UNKNOWN
    found = getattr(PurePath(text), name)
    return Made(path.name, args=[str(found)]) if name == "parent" else found


def _wrapper(made: Made, _reader: Reader) -> Value:
    last = made.name.rpartition(".")[2]
    if last in {"SimpleNamespace", "Namespace"}:
        return Made(last, attributes=dict(made.kwargs))
    if last in _TRANSPARENT and not made.name.startswith(".") and made.args:
        return made.args[0]
    if last == "prepare" and made.name == ".prepare" and made.args:
        return tuple(made.args) if len(made.args) > 1 else made.args[0]
    return MISSING


def _data(made: Made, _reader: Reader) -> Value:
    found = created(made) or published(made)
    return MISSING if found is None else found


def length_of_instance(owner: Instance, reader: Reader) -> Value:
    """What ``__len__`` of one of the script's own classes says of this object."""
    function = reader.attribute(owner, "__len__")
    node = function.scope.node if isinstance(function, Function) else None
    results = [value for value, _place in function.scope.returns] if node is not None else []
    if len(results) != 1 or results[0] is None:
        return UNKNOWN
    inner = results[0].args[0] if isinstance(results[0], ast.Call) and len(results[0].args) == 1 else None
    attribute = results[0] if inner is None else inner
    if isinstance(attribute, ast.Attribute) and isinstance(attribute.value, ast.Name):
        found = reader.attribute(owner, attribute.attr)
        return found if inner is None else _length(found)
    return reader.returned(function)
