"""Two accounts that work in the same folders, for tests that run as root; no real account is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.capabilities import REPOSITORY

VICTIM, ATTACKER = 61001, 61002

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run programs as two users")


def as_user(uid: int, code: str, *arguments: object, umask: int = 0o022) -> subprocess.CompletedProcess[str]:
    """Run Python code as a user; ``sys.argv[1:]`` are the arguments, advisor and tests can be imported."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        user=uid,
        group=uid,
        extra_groups=[],
        umask=umask,
        env=environment,
        cwd="/",
        timeout=60,
    )


@pytest.fixture
def commons() -> Iterator[Path]:
    """A folder like /tmp: every user may make files in it, nobody may remove another's."""
    folder = Path(tempfile.mkdtemp(prefix="gsbatch-commons-"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)
