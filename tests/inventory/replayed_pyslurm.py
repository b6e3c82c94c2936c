"""A stand-in for the pyslurm module at its edge: attribute values from a file, loaded as 25.11's API loads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

DATA = Path(__file__).parent.parent / "data" / "pyslurm"


class RPCError(Exception):
    """What pyslurm raises where slurmctld does not answer."""


@dataclass(frozen=True)
class _Collection:
    members: dict[str, SimpleNamespace] | None

    def load(self) -> dict[str, SimpleNamespace]:
        if self.members is None:
            raise RPCError("Unable to contact slurm controller (connect failure)")
        return self.members


class ReplayedPyslurm:
    """``pyslurm.Nodes.load()`` and ``pyslurm.Partitions.load()`` from a file; no file, no controller."""

    RPCError = RPCError

    def __init__(self, file_name: str | None) -> None:
        content = None if file_name is None else json.loads((DATA / file_name).read_text(encoding="utf-8"))

        def members(kind: str) -> dict[str, SimpleNamespace] | None:
            return None if content is None else {item["name"]: SimpleNamespace(**item) for item in content[kind]}

        self.Nodes = _Collection(members("nodes"))
        self.Partitions = _Collection(members("partitions"))
