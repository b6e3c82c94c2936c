"""What a program may do before the dry run's own filter is in place, and after."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.inspection.confine import LANDLOCK, NAMESPACES, WAYS, way_here
from advisor.units import GIB, MIB


def confined(folder: Path, code: str, limits: str = "", ways: str = ",".join(WAYS)) -> subprocess.CompletedProcess[str]:
    """Run Python code confined to a folder."""
    limits = limits or f"{GIB},10,{MIB},{os.getpid()}"
    command = ["advisor.inspection.confine", str(folder), limits, ways, sys.executable, "-c", code]
    return subprocess.run([sys.executable, "-I", "-m", *command], capture_output=True, text=True, check=False)


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


@pytest.mark.parametrize("way", [LANDLOCK, NAMESPACES])
def test_an_interpreter_that_is_a_shell_script_still_starts(tmp_path: Path, way: str) -> None:
    """A pyenv shim or a wrapper of a container starts processes of its own before it is Python."""
    if way_here((way,)) != way:
        pytest.skip(f"this kernel has no {way}")
    done = confined(
        tmp_path,
        "import os, subprocess, sys\n"
        "print(subprocess.run(['uname'], capture_output=True).returncode, os.environ['GSBATCH_CONFINED_BY'])\n"
        f"open('{tmp_path}/inside', 'w').close()\n"
        f"open('{tmp_path}.outside', 'w')\n",
        ways=way,
    )

    assert f"0 {way}\n" == done.stdout
    assert "OSError" in done.stderr or "PermissionError" in done.stderr
    assert ["inside"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("way", WAYS)
def test_no_capability_is_left_to_root(tmp_path: Path, way: str) -> None:
    """Root without confinement of devices once wrote to a raw disk; nothing that is started gets a capability back."""
    # Who is not root has none, and cannot lower what a program could have by its file; that is denied altogether.
    sets = ("CapInh", "CapPrm", "CapEff", "CapAmb", *(["CapBnd"] if os.geteuid() == 0 else []))
    code = f"print([line.split()[1] for line in open('/proc/self/status') if line.startswith({sets})])"
    done = confined(tmp_path, f"{code}\nprint(open('/proc/self/status').read().split('NoNewPrivs:')[1][:2])", ways=way)

    assert f"{['0' * 16] * len(sets)}\n\t1\n" == done.stdout


def test_a_program_whose_parent_is_gone_does_not_start(tmp_path: Path) -> None:
    """Nobody would end it."""
    done = confined(tmp_path, "print('started')", f"{GIB},10,{MIB},1")

    assert "" == done.stdout
