"""The frameworks' package names, from the one table that the dry run reads too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parents[1] / "injected" / "gsbatch_inside" / "frameworks" / "frameworks.json"
_TABLE: Mapping[str, Mapping[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))

# What each framework is imported as.
PACKAGES: Mapping[str, frozenset[str]] = {name: frozenset(row["packages"]) for name, row in _TABLE.items()}
# What a script imports that trains: the others only help.
TRAINING = frozenset().union(*(PACKAGES[name] for name, row in _TABLE.items() if "only_helps" not in row))


def packages_on(framework: str) -> frozenset[str]:
    """The packages of a framework and of those that are built on it and on nothing else."""
    return PACKAGES[framework].union(*(PACKAGES[name] for name, row in _TABLE.items() if row.get("on") == framework))
