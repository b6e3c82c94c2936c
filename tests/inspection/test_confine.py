"""What a program may do before the dry run's own filter is in place, and after."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.inspection.confine import CANNOT_CONFINE, landlock_version
from advisor.units import GIB, MIB

needs_landlock = pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")


def confined(folder: Path, code: str, limits: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python code confined to a folder."""
    limits = limits or f"{GIB},10,{MIB},{os.getpid()}"
    words = ["advisor.inspection.confine", str(folder), limits, sys.executable, "-c", code]
    return subprocess.run([sys.executable, "-I", "-m", *words], capture_output=True, text=True, check=False, cwd=folder)


def test_limits_are_set_for_the_program_that_follows(tmp_path: Path) -> None:
    """Memory, CPU time, a file's size, no core, the lowest priority, and the first to go where memory runs out."""
    done = confined(
        tmp_path,
        "import os, resource as r\n"
        "print([r.getrlimit(limit) for limit in (r.RLIMIT_DATA, r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_CORE)],\n"
        "      os.nice(0), open('/proc/self/oom_score_adj').read().strip())\n",
    )

    assert f"[({GIB}, {GIB}), (10, 11), ({MIB}, {MIB}), (0, 0)] 19 1000\n" == done.stdout


def test_a_limit_is_never_raised(tmp_path: Path) -> None:
    """What the site has limited further stays so."""
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_DATA)[1])"
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    done = confined(tmp_path, code, f"{2**60},10,{MIB},{os.getpid()}")

    assert (2**60 if hard == resource.RLIM_INFINITY else hard) == int(done.stdout)


@needs_landlock
def test_an_interpreter_that_is_a_shell_script_still_starts(tmp_path: Path) -> None:
    """A pyenv shim or a wrapper of a container starts processes of its own before it is Python."""
    done = confined(
        tmp_path,
        "import os, subprocess\n"
        "print(subprocess.run(['uname'], capture_output=True).returncode)\n"
        "open('inside', 'w').close()\n"
        "open('../outside', 'w')\n",
    )

    assert "0\n" == done.stdout
    assert "PermissionError" in done.stderr
    assert ["inside"] == [path.name for path in tmp_path.iterdir()]


def test_a_program_whose_parent_is_gone_does_not_start(tmp_path: Path) -> None:
    """Nobody would end it."""
    done = confined(tmp_path, "print('started')", f"{GIB},10,{MIB},1")

    assert "" == done.stdout


@pytest.mark.skipif(bool(landlock_version()), reason="this kernel has Landlock")
def test_without_landlock_nothing_is_started(tmp_path: Path) -> None:
    """Unless the user or the site said so."""
    done = confined(tmp_path, "print('started')")

    assert (CANNOT_CONFINE, "") == (done.returncode, done.stdout)
