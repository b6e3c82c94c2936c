"""Recorded answers of real controllers, and a stand-in for ``advisor.slurm.run`` that gives them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from advisor.errors import SlurmCommandFailed

DATA = Path(__file__).parent.parent / "data" / "slurm"
VERSIONS = ("22.05.8", "25.11.7")
# Recorded from the test cluster (tests/real_slurm/record.py), where associations and limits are enforced.
TEST_CLUSTER = ("22.05.8-enforced", "24.11.5", "26.05.5")
CLUSTER_NAMES = {"22.05.8": "mini", "25.11.7": "mini25"}


def answer(version: str, kind: str) -> str:
    """What ``scontrol --oneliner show KIND`` said."""
    return (DATA / version / f"scontrol_show_{kind}.txt").read_text(encoding="utf-8")


class RecordedSlurm:
    """Answers Slurm's queries from recordings and remembers what was asked.

    ``associations`` are sacctmgr's lines for each user; a user who is not there makes sacctmgr fail, as a dead
    slurmdbd does.
    """

    def __init__(self, version: str, associations: Mapping[str, str] | None = None) -> None:
        self.version = version
        self.associations = associations or {}
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *argv: str, timeout_s: float = 15.0) -> str:  # noqa: ARG002
        """Answer one query; the time that it may take is not looked at."""
        self.asked.append(argv)
        if argv[0] == "scontrol":
            return answer(self.version, argv[-1])
        user = next((word.removeprefix("name=") for word in argv if word.startswith("name=")), "")
        if user not in self.associations:
            raise SlurmCommandFailed(" ".join(argv), 1, "sacctmgr: error: Unable to contact slurm database")
        return self.associations[user]
