"""Configuration files of a script: JSON, YAML and TOML, read as data only.

Whatever a file holds, what is read of it is bounded in size and depth, with all that its aliases repeat.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Mapping
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
    except (OSError, ValueError, RecursionError):
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


_READERS: Mapping[str, Callable[[str], Any]] = {
    ".json": json.loads,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".toml": tomllib.loads,
}
