"""Nothing that a script does in a dry run reaches its user's other processes, files or terminals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.inspection.bounds import Bounds
from advisor.inspection.confine import WAYS, way_here
from advisor.inspection.dry_run import dry_run
from tests.inspection.confinement.attempts import ATTEMPTS, PRETENDED, REACHES_FURTHER
from tests.inspection.confinement.victim import victim

SCRIPT = Path(__file__).parent / "attempts.py"
# A filter of system calls does not see what is opened for reading.
OPEN_TO = {"landlock": set(), "namespaces": set(), "system_calls": {"read_terminal"}}


@pytest.mark.parametrize("way", WAYS)
def test_no_system_call_reaches_anything_outside(tmp_path: Path, way: str) -> None:
    """Whichever way the kernel has: each is refused, or pretended, and all outside is as it was."""
    if way_here((way,)) != way:
        pytest.skip(f"this kernel has no {way}")
    with victim(tmp_path / f"home-{os.getpid()}") as other:
        before = other.state()
        found = dry_run(
            SCRIPT,
            (other.targets,),
            interpreter=(sys.executable,),
            environment=dict(os.environ),
            bounds=Bounds(wall_s=60.0),
            ways=(way,),
        )
        after = other.state()

    results = dict(note.split() for note in found.notes)
    assert "end" == found.ended
    assert set(ATTEMPTS) == set(results)
    assert PRETENDED | OPEN_TO[way] >= {name for name, result in results.items() if result == "done"}
    assert before == after


def test_without_confinement_the_same_attempts_are_seen(tmp_path: Path) -> None:
    """What the victim's state does not show would not be found in the test above either."""
    names = [name for name in ATTEMPTS if name not in REACHES_FURTHER]
    with victim(tmp_path / f"home-{os.getpid()}") as other:
        before = other.state()
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        subprocess.run([sys.executable, SCRIPT, other.targets, *names], check=True, env=environment)
        changed = {name for name, value in other.state().items() if value != before[name]}
        Path(f"/dev/shm/{other.folder.name}").unlink(missing_ok=True)  # noqa: S108 (made by the attempt)

    seen = {"signals", "limit of open files", "nice", "scheduler", "disk priority", "oom_score_adj", "named pipe",
            "terminal", "files", "shared memory"}  # fmt: skip
    assert seen <= changed
