"""What well-known calls return: plain functions of Python, arrays, configuration files, wrappers of functions."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.inspection.configuration import read_configuration
from advisor.inspection.reading import command_lines
from advisor.inspection.reading.datasets import batches_of, created, loader_of, published, samples_of
from advisor.inspection.reading.expressions import is_plain, with_source
from advisor.inspection.reading.values import (
    MISSING,
    UNKNOWN,
    Function,
    Instance,
    Made,
    Method,
    Partial,
    Rows,
    Value,
    tagged,
)
from advisor.inspection.workload import Source

if TYPE_CHECKING:
    from advisor.inspection.reading.interpreter import Interpreter

_PURE: Mapping[str, Callable[..., Any]] = {
    "builtins.int": int, "builtins.float": float, "builtins.str": str, "builtins.bool": bool, "builtins.max": max,
    "builtins.min": min, "builtins.abs": abs, "builtins.round": round, "builtins.sum": sum, "builtins.sorted": sorted,
    "builtins.list": list, "builtins.tuple": tuple, "os.path.join": os.path.join, "os.path.basename": os.path.basename,
    "os.path.dirname": os.path.dirname, "os.path.abspath": os.path.normpath, "os.path.realpath": os.path.normpath,
    "os.path.splitext": os.path.splitext, "os.fspath": str,
}  # fmt: skip
# Methods of plain values that change nothing.
_PURE_METHODS = frozenset(
    {"get", "items", "keys", "values", "lower", "upper", "strip", "split", "replace", "startswith", "endswith", "join",
     "copy", "index", "count", "format", "title", "rstrip", "lstrip", "removeprefix", "removesuffix"}
)  # fmt: skip
# Calls that hand back what they were given, as far as a training's facts go.
_TRANSPARENT = frozenset(
    {"jit", "pmap", "vmap", "compile", "function", "script", "wraps", "remat", "checkpoint", "record",
     "deepcopy", "copy", "asarray", "array", "as_tensor", "tensor", "from_numpy", "convert_to_tensor", "constant",
     "freeze", "prepare_model", "prepare_data_loader", "setup_dataloaders", "OptimizedModule", "to_absolute_path"}
)  # fmt: skip
_TRANSPARENT_METHODS = frozenset(
    {".to", ".cuda", ".cpu", ".train", ".eval", ".float", ".resolve", ".expanduser", ".absolute"}
)
_ATTRIBUTE_BAGS = frozenset(
    {"SimpleNamespace", "Namespace", "EasyDict", "edict", "AttrDict", "ConfigDict", "Box", "DotMap", "Munch"}
)
_INI_GETTERS = frozenset({"getint", "getfloat", "getboolean"})
_INI_BOOLEANS = {
    "1": True,
    "yes": True,
    "true": True,
    "on": True,
    "0": False,
    "no": False,
    "false": False,
    "off": False,
}
_LOAD_TEXT = frozenset(
    {"json.loads", "yaml.safe_load", "yaml.load", "yaml.full_load", "toml.loads", "tomllib.loads", "tomli.loads"}
)
_LOAD_FILE = frozenset(
    {"json.load", "yaml.safe_load", "yaml.load", "yaml.full_load", "tomllib.load", "tomli.load", "toml.load",
     "omegaconf.OmegaConf.load", "anyconfig.load"}
)  # fmt: skip


def result_of(made: Made, reader: Interpreter) -> Value:
    """What a call returns; the call itself where that is nothing that is known here."""
    for handler in (_pure, _collection, _method, _file, _wrapper, command_lines.parsed, _data):
        found = handler(made, reader)
        if found is not MISSING:
            return found
    return made


def _pure(made: Made, reader: Interpreter) -> Value:
    if made.name in {"os.environ.get", "os.getenv"}:
        name, default = made.word("key", 0), made.word("default", 1)
        return reader.environment_value(name, default) if isinstance(name, str) else UNKNOWN
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


def _collection(made: Made, reader: Interpreter) -> Value:  # noqa: PLR0911 (one line for each call)
    first = made.args[0] if made.args else None
    if made.name == "builtins.len":
        return _length(first, reader)
    if made.name == "builtins.dict":
        return {**(first if isinstance(first, dict) else {}), **made.kwargs} if made.complete else UNKNOWN
    if made.name == "builtins.vars":
        return first.attributes if isinstance(first, Made | Instance) else UNKNOWN
    if made.name == "builtins.setattr":
        return _set_attribute(made, reader)
    if made.name == "builtins.zip" and all(isinstance(item, list | tuple) for item in made.args) and made.args:
        return [tuple(row) for row in zip(*made.args, strict=False)]
    if made.name == "builtins.enumerate" and isinstance(first, list | tuple):
        return list(enumerate(first))
    if made.name == "builtins.getattr" and len(made.args) > 1 and isinstance(made.args[1], str):
        found = reader.attribute(first, made.args[1])
        return made.args[2] if found is UNKNOWN and len(made.args) > 2 and isinstance(first, Made) else found  # noqa: PLR2004
    return MISSING


def _set_attribute(made: Made, reader: Interpreter) -> None:
    """``setattr``: a name that is not known may be any, so that no attribute is known afterwards."""
    owner, name, value = made.word("", 0), made.word("", 1), made.word("", 2)
    if isinstance(name, str):
        reader.set_item(owner, name, value)
    elif isinstance(owner, Made | Instance):
        inherited = owner.kind.lineage() if isinstance(owner, Instance) else []
        names = {*owner.attributes, *(name for kind in inherited for name in kind.names)}
        owner.attributes.update(dict.fromkeys(names, UNKNOWN))


def _length(value: Value, reader: Interpreter) -> Value:
    if isinstance(value, list | tuple | dict | str):
        return len(value)
    if isinstance(value, Instance):
        method = value.kind.find("__len__")
        return reader.call(Method(method, value), Made("__len__")) if isinstance(method, Function) else UNKNOWN
    loader = loader_of(value)
    return batches_of(loader) if loader is not None else samples_of(value)


def _method(made: Made, reader: Interpreter) -> Value:  # noqa: PLR0911 (one line for each call)
    owner, name = made.receiver, made.name[1:]
    if isinstance(owner, list) and name in {"append", "extend"} and made.args:
        owner.append(made.args[0]) if name == "append" else owner.extend(
            made.args[0] if isinstance(made.args[0], list) else [UNKNOWN]
        )
        return None
    if isinstance(owner, dict) and name in {"update", "setdefault", "pop"}:
        return _change(owner, name, made)
    if isinstance(owner, dict) and name in {"items", "keys", "values", "get", "copy"}:
        return list(getattr(owner, name)()) if name in {"items", "keys", "values"} else getattr(owner, name)(*made.args)
    if isinstance(owner, str) and name in _PURE_METHODS and is_plain([made.args, made.kwargs]):
        try:
            return with_source(getattr(str(owner), name)(*made.args, **made.kwargs), owner)
        except (TypeError, ValueError, AttributeError, IndexError, KeyError):
            return UNKNOWN
    if isinstance(owner, Made) and owner.name == "pathlib.Path":
        return _path_method(owner, name, made)
    if isinstance(owner, dict | Made) and name in _INI_GETTERS | {"read", "get"}:
        return _ini_method(owner, name, made, reader)
    if made.name in _TRANSPARENT_METHODS and owner is not None and owner is not UNKNOWN:
        return owner
    return MISSING


def _path_method(owner: Made, name: str, made: Made) -> Value:
    path, first = _path(owner), made.args[0] if made.args else None
    if path is None or name not in {"with_suffix", "with_name", "joinpath"} or not isinstance(first, str):
        return owner if name in {"resolve", "absolute", "expanduser"} else MISSING
    try:
        return Made("pathlib.Path", args=[str(getattr(Path(path), name)(first))])
    except ValueError:
        return UNKNOWN


def _ini_method(owner: Value, name: str, made: Made, reader: Interpreter) -> Value:
    """``configparser``: a file is read, and sections give their texts as numbers."""
    if isinstance(owner, Made):
        if not owner.name.endswith("ConfigParser"):
            return MISSING
        if name == "read":
            found = _configuration(_path(made.word("filenames", 0)), reader, bag=False)
            owner.attributes.update(found if isinstance(found, dict) else {})
            return None
        section = owner.attributes.get(str(made.args[0])) if made.args else None
        return _ini_value(section, name, made.args[1:], made) if isinstance(section, dict) else UNKNOWN
    return _ini_value(owner, name, made.args, made)


def _ini_value(section: dict[Any, Value], name: str, args: list[Value], made: Made) -> Value:
    text = (
        section.get(args[0], made.word("fallback", default=UNKNOWN)) if args and isinstance(args[0], str) else UNKNOWN
    )
    if not isinstance(text, str) or name == "get":
        return text
    try:
        value = _INI_BOOLEANS[text.lower()] if name == "getboolean" else {"getint": int, "getfloat": float}[name](text)
    except (KeyError, ValueError):
        return UNKNOWN
    return with_source(value, text)


def _change(owner: dict[Any, Value], name: str, made: Made) -> Value:
    first = made.args[0] if made.args else None
    if name == "update":
        owner.update(first if isinstance(first, dict) else {})
        owner.update(made.kwargs)
        return None
    if not isinstance(first, str | int):
        return UNKNOWN
    default = made.args[1] if len(made.args) > 1 else None
    return owner.setdefault(first, default) if name == "setdefault" else owner.pop(first, default)


def _file(made: Made, reader: Interpreter) -> Value:
    if made.name in {"builtins.open", ".open"}:
        path = _path(made.receiver if made.receiver is not None else made.word("file", 0))
        return Made("open", attributes={"path": path}) if path is not None else MISSING
    if made.name in {".read_text", ".read"}:
        path = made.receiver.attributes.get("path") if isinstance(made.receiver, Made) else None
        path = path or _path(made.receiver)
        return Made("text", attributes={"path": path}) if path is not None else MISSING
    if made.name in _LOAD_FILE | _LOAD_TEXT and made.args:
        source = made.args[0]
        path = (
            source.attributes.get("path") if isinstance(source, Made) and "path" in source.attributes else _path(source)
        )
        return _configuration(path, reader, bag=made.name.startswith("omegaconf"))
    return MISSING


def _path(value: Value) -> str | None:
    """The path that a string or a ``Path`` names."""
    if isinstance(value, str):
        return value
    if isinstance(value, Made) and value.name.rpartition(".")[2] in {"Path", "PosixPath"}:
        parts = [_path(part) for part in value.args]
        return os.path.join(*[part for part in parts if part]) if parts and all(parts) else None  # noqa: PTH118 (text)
    return None


def _configuration(path: str | None, reader: Interpreter, *, bag: bool) -> Value:
    if path is None:
        return UNKNOWN
    file = Path(reader.folder, path)
    found = read_configuration(file)
    if found is None:
        return UNKNOWN
    reader.files.append(file)
    value = tagged(found, Source.CONFIGURATION)
    return as_bag(value) if bag else value


def as_bag(value: Value) -> Value:
    """A dictionary whose items are attributes too, all the way down."""
    if isinstance(value, dict):
        return Made("bag", attributes={str(key): as_bag(item) for key, item in value.items()})
    return value


def _wrapper(made: Made, reader: Interpreter) -> Value:  # noqa: PLR0911 (one line for each call)
    last = made.name.rpartition(".")[2]
    if last in _ATTRIBUTE_BAGS:
        first = made.args[0] if made.args else None
        given = {**(first if isinstance(first, dict) else {}), **made.kwargs}
        return as_bag(given) if last not in {"SimpleNamespace", "Namespace"} else Made(last, attributes=given)
    if made.name == "omegaconf.OmegaConf.create" and made.args:
        return as_bag(made.args[0])
    if made.name == "omegaconf.OmegaConf.to_container" and made.args and isinstance(made.args[0], Made):
        return _unbagged(made.args[0])
    if last == "partial" and made.args:
        return Partial(made.args[0], Made("", args=made.args[1:], kwargs=made.kwargs, complete=made.complete))
    if last in _TRANSPARENT and not made.name.startswith(".") and made.args:
        return made.args[0]
    if last in {"spawn", "start_processes"} and made.args and isinstance(made.args[0], Function):
        return _spawned(made, reader)
    if last == "notebook_launcher" and made.args and isinstance(made.args[0], Function):
        arguments = made.word("args", 1, ())
        return reader.call(made.args[0], Made("", args=list(arguments) if isinstance(arguments, tuple) else []))
    return MISSING


def _spawned(made: Made, reader: Interpreter) -> Value:
    """``torch.multiprocessing.spawn(function, args)``: the function gets its rank first."""
    arguments = made.word("args", 1, ())
    words = Made("", args=[UNKNOWN, *arguments] if isinstance(arguments, tuple) else [UNKNOWN])
    words.complete = isinstance(arguments, tuple)
    reader.call(made.args[0], words)
    return None


def _unbagged(value: Value) -> Value:
    if isinstance(value, Made) and value.name == "bag":
        return {key: _unbagged(item) for key, item in value.attributes.items()}
    return value


def _data(made: Made, _reader: Interpreter) -> Value:
    last = made.name.rpartition(".")[2]
    rows = created(made)
    if rows is not None:
        return rows
    found = published(made)
    if found is not None:
        return found
    if last == "random_split":
        return _split(made)
    if last == "train_test_split":
        return _split_for_test(made)
    if made.name == ".prepare" and made.args:
        return tuple(made.args) if len(made.args) > 1 else made.args[0]
    return MISSING


def _split(made: Made) -> Value:
    parts, rows = made.word("lengths", 1), samples_of(made.word("dataset", 0))
    if not isinstance(parts, list | tuple):
        return UNKNOWN
    if any(isinstance(part, float) for part in parts):
        parts = [int(part * rows) if isinstance(rows, int) and isinstance(part, float) else UNKNOWN for part in parts]
    return [Made("Split", attributes={"samples": part}) for part in parts]


def _split_for_test(made: Made) -> Value:
    """scikit-learn's split: the test part is rounded up."""
    size = made.word("test_size", default=0.25)
    found: list[Value] = []
    for data in made.args:
        rows = samples_of(data)
        if not isinstance(rows, int) or not isinstance(size, int | float) or "train_size" in made.kwargs:
            return UNKNOWN
        test = size if isinstance(size, int) else int(-(-size * rows // 1))
        shape = data.shape[1:] if isinstance(data, Rows) else ()
        found += [Rows((rows - test, *shape)), Rows((test, *shape))]
    return found
