"""Configuration files of a script: JSON, YAML, TOML and INI, read as data only, and Hydra's folders of them.

Whatever a file holds, what is read of it is bounded in size and depth, with all that its aliases repeat.
"""

from __future__ import annotations

import configparser
import json
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# A configuration is written by hand. YAML is read by pure Python where libyaml is missing: some 100 KB a second.
_MOST_BYTES = 256 * 1024
# Of values in one another; libyaml's own recursion ends the process long before it is out of memory.
_DEEPEST = 50
_MOST_VALUES = 100_000


def read_configuration(path: Path) -> Any:
    """What a configuration file holds, by its ending; None where it cannot be read or is none.

    Never raises: a broken file is the script's own business, and leaves its facts unknown.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # without waiting for a pipe's writer
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(_MOST_BYTES + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
        if data is None or len(data) > _MOST_BYTES:
            return None
        found = reader(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError, configparser.Error):
        return None
    return found if _is_small(found) else None


def _is_small(value: Any) -> bool:
    """Whether values are nested no deeper and are no more than any that are written by hand."""
    level, count = [value], 0
    for _depth in range(_DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
            count += 1
            if count + len(below) > _MOST_VALUES:
                return False
        if not below:
            return True
        level = below
    return False


def _yaml(text: str) -> Any:
    import yaml  # noqa: PLC0415 (costs 30 ms that a submission without YAML need not pay)

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise ValueError("its values are nested too deep")
        return yaml.load(text, Loader=loader)  # noqa: S506 (both loaders are safe ones: plain data, no objects)
    except yaml.YAMLError as exc:
        raise ValueError(str(exc)) from exc


def _ini(text: str) -> dict[str, dict[str, str]]:
    # Interpolation multiplies: ten values that each repeat the one before a thousand times are more than any memory.
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return {
        name: {key: value for key, value in section.items() if "%" not in value} for name, section in parser.items()
    }


_READERS: Mapping[str, Callable[[str], Any]] = {
    ".json": json.loads,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".toml": tomllib.loads,
    ".ini": _ini,
    ".cfg": _ini,
    ".conf": _ini,
}


def hydra_configuration(folder: Path, name: str, overrides: Sequence[str]) -> dict[str, Any] | None:
    """What Hydra hands to a script: its file, the groups of ``defaults`` and the overrides of the command line.

    None where a part cannot be read; interpolations (``${...}``) stay as they stand, for nobody to take for a value.
    """
    chosen = dict(word.split("=", 1) for word in overrides if "=" in word)
    main = read_configuration(_yaml_file(folder, name))
    if not isinstance(main, dict):
        return None
    found: dict[str, Any] = {}
    own_is_last = True
    for entry in main.pop("defaults", []):
        if entry == "_self_":
            _merge(found, main)
            own_is_last = False
            continue
        group, option = next(iter(entry.items())) if isinstance(entry, dict) and entry else (None, entry)
        group = group.split()[-1] if isinstance(group, str) else None
        option = chosen.pop(group, option) if group else option
        if not isinstance(option, str) or (group or "").startswith("override"):
            continue
        part = read_configuration(_yaml_file(folder / group if group else folder, option))
        if not isinstance(part, dict):
            return None
        part.pop("defaults", None)
        _merge(found, {group.split("/")[-1]: part} if group else part)
    if own_is_last:
        _merge(found, main)
    for key, text in chosen.items():
        _override(found, key.lstrip("+~").split("."), _yaml_scalar(text))
    return found


def _yaml_file(folder: Path, name: str) -> Path:
    return folder / (name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")


def _yaml_scalar(text: str) -> Any:
    try:
        return _yaml(text)
    except ValueError:
        return text


def _merge(into: dict[str, Any], other: Mapping[str, Any], depth: int = 0) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict) and depth < _DEEPEST:
            _merge(into[key], value, depth + 1)
        else:
            into[key] = value


def _override(found: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = found.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        found = inner
    found[keys[-1]] = value
