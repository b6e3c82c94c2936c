"""A recorded job whose spool folder is another user's: it runs, its trace lies elsewhere, one line says so."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from advisor.telemetry.reading import parse_trace
from tests.two_users import ATTACKER, VICTIM, as_user, commons, needs_root

__all__ = ["commons"]

RECORDER = [sys.executable, "-I", "-m", "advisor.telemetry.recorder"]
MADE_FIRST = "import os, sys; os.mkdir(sys.argv[1]); os.chmod(sys.argv[1], int(sys.argv[2], 8))"
LINKED = "import os, sys; os.symlink(sys.argv[2], sys.argv[1])"


def recorded(user: int, spool: Path, submit_folder: Path) -> subprocess.CompletedProcess[str]:
    """A short training of a user under the recorder."""
    return subprocess.run(
        [*RECORDER, "--spool", str(spool), "--interval", "0.02", "--", "sh", "-c", "echo out; sleep 0.2; exit 6"],
        check=False,
        capture_output=True,
        text=True,
        user=user,
        group=user,
        extra_groups=[],
        cwd=submit_folder,
        env={**os.environ, "SLURM_JOB_ID": "77", "SLURM_CLUSTER_NAME": "mini", "SLURMD_NODENAME": "n1"},
        timeout=60,
    )


def _taken(commons: Path) -> Path:
    assert 0 == as_user(ATTACKER, MADE_FIRST, commons / "victim", "1777").returncode
    return commons / "victim"


def _linked(commons: Path) -> Path:
    (commons / "home").mkdir()
    os.chown(commons / "home", VICTIM, VICTIM)
    assert 0 == as_user(ATTACKER, LINKED, commons / "victim", commons / "home").returncode
    return commons / "victim"


@needs_root
@pytest.mark.parametrize("user", [VICTIM, 0])
@pytest.mark.parametrize("laid", [_taken, _linked])
def test_a_taken_spool_folder_costs_its_place_alone(commons: Path, user: int, laid: Callable[[Path], Path]) -> None:
    """Nothing is written where another user leads, for root neither; the trace is in the submit folder."""
    spool = laid(commons)
    submit_folder = commons / "submit"
    submit_folder.mkdir()
    os.chown(submit_folder, user, user)
    done = recorded(user, spool, submit_folder)
    (path,) = submit_folder.glob("*.trace.jsonl")

    assert (6, "out\n", 1) == (done.returncode, done.stdout, done.stderr.count("\n")), done.stderr
    assert parse_trace(path.read_text(encoding="utf-8")).footer is not None
    assert [] == list(spool.iterdir())


@needs_root
@pytest.mark.parametrize("umask", [0o000, 0o002])
def test_a_new_spool_folder_is_private_whatever_the_umask(commons: Path, umask: int) -> None:
    """The folders above that are made with it too."""
    code = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    spool = commons / "victim" / "share" / "spool"
    done = as_user(VICTIM, code, *RECORDER, "--spool", spool, "--", "true", umask=umask)
    (path,) = spool.iterdir()

    assert (0, "") == (done.returncode, done.stderr)
    assert [0o700, 0o700, 0o700] == [part.stat().st_mode & 0o7777 for part in (spool, *spool.parents[:2])]
    assert 0o600 == path.stat().st_mode & 0o777
