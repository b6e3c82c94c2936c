"""What a dry run looked at, and whether that is still as it was.

Files are compared by size and time, and where those differ by content up to a megabyte, so that a fresh checkout of the
same source is the same. Values of variables are kept as digests: there are secrets among them.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_KINDS = frozenset({"content", "names", "time"})
_MOST = 2000
_MOST_CONTENT_BYTES = 1024**2


@dataclass(frozen=True, slots=True)
class Reads:
    """Absolute paths with what of each counts (``content``, a folder's ``names``, its ``time``); variables' names."""

    paths: Mapping[str, str] = field(default_factory=dict)
    variables: tuple[str, ...] = ()

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Reads:
        """What the dry run said, which may be anything: what cannot be meant is left out."""
        paths, variables = plain.get("paths"), plain.get("variables")
        meant = paths.items() if isinstance(paths, dict) else ()
        return cls(
            dict([(path, kind) for path, kind in meant if str(kind) in _KINDS and path.startswith("/")][:_MOST]),
            tuple(name for name in variables if isinstance(name, str))[:_MOST] if isinstance(variables, list) else (),
        )


def state_of(path: str, kind: str) -> tuple[str, str]:
    """What tells at a glance whether a path has changed, and what settles it where that differs ("" for nothing)."""
    return _at_a_glance(path, kind), _settling(path, kind)


def is_unchanged(path: str, kind: str, state: tuple[str, str]) -> bool:
    """Whether a path is as it was when its state was taken."""
    glance, settling = state
    return _at_a_glance(path, kind) == glance or (settling != "" and _settling(path, kind) == settling)


def digest(text: str) -> str:
    """What stands for a text that is not to be kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _at_a_glance(path: str, kind: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116 (paths are strings here; thousands are looked at)
    except (OSError, ValueError):
        return "absent"
    if stat.S_ISDIR(status.st_mode):
        return "folder" if kind == "content" else f"folder of {status.st_mtime_ns}"
    return f"{stat.S_IFMT(status.st_mode)} {status.st_size} {status.st_mtime_ns}"


def _settling(path: str, kind: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116
        if kind == "names" and stat.S_ISDIR(status.st_mode):
            return digest("\0".join(sorted(os.listdir(path))))  # noqa: PTH208
        if stat.S_ISREG(status.st_mode) and status.st_size <= _MOST_CONTENT_BYTES:
            return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except (OSError, ValueError):
        return ""
    return ""
