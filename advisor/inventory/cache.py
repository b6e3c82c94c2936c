"""A short-lived copy of what Slurm said, so that submissions in a row do not each ask slurmctld.

One JSON file per cluster, user and backend in the user's cache folder, readable by the user alone, written whole or not
at all. A file that is old, broken, of another version or not the user's own is as good as none.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
import tempfile
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from advisor.inventory.records import ClusterRecords

VERSION = 1
_CLUSTER_VARIABLES = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_CONF_SERVER")
T = TypeVar("T")


def cache_file(cache_dir: Path, *, backend: str, user: str, environment: Mapping[str, str]) -> Path:
    """Where the copy for this cluster, user and backend lies; the environment tells which cluster Slurm would ask."""
    key = json.dumps([backend, user, *(environment.get(name, "") for name in _CLUSTER_VARIABLES)])
    return cache_dir / f"inventory-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"


def load(path: Path, *, max_age_s: float, now_s: float) -> ClusterRecords | None:
    """Read a copy that is at most ``max_age_s`` old; None where there is none that can be used."""
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return None
            content = json.load(file)
        if content["version"] != VERSION or not 0 <= now_s - content["written_at_s"] <= max_age_s:
            return None
        return _restore(ClusterRecords, content["records"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save(path: Path, records: ClusterRecords, *, now_s: float) -> None:
    """Write a copy; a folder that cannot be written to costs the copy and nothing else."""
    content = {"version": VERSION, "written_at_s": now_s, "records": dataclasses.asdict(records)}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".inventory-")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
    except OSError:
        return


def _restore(kind: type[T], values: dict[str, Any]) -> T:
    """Build a record from JSON, where tuples came back as lists and records as dicts."""
    hints = typing.get_type_hints(kind)
    return kind(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:
    options = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return None if value is None else _value(next(o for o in options if o is not types.NoneType), value)
    if typing.get_origin(hint) is tuple:
        inner = options * len(value) if Ellipsis not in options else (options[0],) * len(value)
        return tuple(_value(option, item) for option, item in zip(inner, value, strict=False))
    return _restore(hint, value) if dataclasses.is_dataclass(hint) and isinstance(hint, type) else value
