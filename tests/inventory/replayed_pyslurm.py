"""Recordings of tests/data/pyslurm: a stand-in for the pyslurm module at its edge, and what the commands then said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from advisor.errors import SlurmCommandFailed

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
    """``pyslurm.Nodes.load()`` and ``pyslurm.Partitions.load()`` from a recording; no recording, no controller."""

    RPCError = RPCError

    def __init__(self, version: str | None) -> None:
        content = None if version is None else json.loads((DATA / version / "pyslurm.json").read_text(encoding="utf-8"))

        def members(kind: str) -> dict[str, SimpleNamespace] | None:
            return None if content is None else {item["name"]: SimpleNamespace(**item) for item in content[kind]}

        self.Nodes = _Collection(members("nodes"))
        self.Partitions = _Collection(members("partitions"))


@dataclass(frozen=True)
class CommandsMeanwhile:
    """What Slurm's commands said while pyslurm was recorded; a user who was not asked about makes sacctmgr fail."""

    version: str

    def __call__(self, *argv: str, timeout_s: float = 15.0) -> str:  # noqa: ARG002
        """Answer one query; the time that it may take is not looked at."""
        what = argv[argv.index("show") + 1]
        user = "".join("_" + word.removeprefix("name=") for word in argv if word.startswith("name="))
        path = DATA / self.version / f"{argv[0]}_show_{what}{user}.txt"
        if not path.exists():
            raise SlurmCommandFailed(" ".join(argv), 1, "not recorded")
        return path.read_text(encoding="utf-8")
