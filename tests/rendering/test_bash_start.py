"""Bash starts a batch script under the recorder, once, and leaves the script what it would have without us."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from advisor.rendering.bash_start import bash_start
from advisor.rendering.recorder_command import RecorderCommand
from advisor.request.script import script_from_text

BODY = """\
echo "ran $# [$2] $LINENO $- ${BASH_ENV-none} ${GSBATCH_RECORDER-none} ${GSBATCH_BASH_ENV-none} ${init-none}"
bash -c 'echo "inner ${BASH_ENV-none}"'
declare -F; compgen -v gsbatch || :
exit 7
"""


def _recorder(folder: Path, *, check: tuple[str, ...] = ("true",), exists: bool = True) -> RecorderCommand:
    """A recorder that says that it ran, then becomes what it was to record."""
    program = folder / "the recorder"
    if exists:
        program.write_text('#!/bin/sh\necho recorded >&2\nshift\nexec "$@"\n', encoding="utf-8")
        program.chmod(0o700)
    return RecorderCommand(arguments=(str(program), "--"), check=check)


def _run(
    folder: Path,
    recorder: RecorderCommand | None,
    *,
    first: str = "#!/bin/bash",
    name: str = "slurm_script",
    own: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a script as slurmstepd does: as its child, under the name that slurmd gives to batch scripts."""
    text = f"{first}\n{BODY}"
    script = script_from_text(text, name="job.sh", path=folder / "job.sh", arguments=())
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        **({"BASH_ENV": own} if own else {}),
    }
    if recorder is not None:
        started = bash_start(script, recorder, environment)
        assert started is not None
        environment |= started
    (folder / "tmp").mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o700)
    stepd = folder / "slurmstepd"
    shutil.copy2("/bin/dash", stepd)
    # The dash must not become the script itself: it is the parent.
    words = [str(stepd), "-c", f"'{folder}/{name}' one 'two words'; exit $?"]
    return subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    "first", ["#!/bin/bash", "#!/bin/bash -eu", "#!/bin/bash -x", "#!/bin/bash -l", "#!/usr/bin/env bash"]
)
@pytest.mark.parametrize("own", [False, True])
def test_a_script_runs_once_under_the_recorder(tmp_path: Path, first: str, own: bool) -> None:
    """Output, traces of -x and status are those without us; the user's own BASH_ENV is read as ever."""
    (tmp_path / "init").write_text("init=$((${init-0} + 1))\n", encoding="utf-8")
    init = str(tmp_path / "init") if own else ""

    plain = _run(tmp_path, None, first=first, own=init)
    recorded = _run(tmp_path, _recorder(tmp_path), first=first, own=init)

    assert 7 == plain.returncode == recorded.returncode
    assert plain.stdout == recorded.stdout
    assert f"recorded\n{plain.stderr}" == recorded.stderr
    assert [] == list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("check", [("false",), ("/no/such/python",), ("timeout", "0.3", "sleep", "60")])
@pytest.mark.parametrize("own", [False, True])
def test_where_the_recorder_does_not_run_the_script_does(tmp_path: Path, check: tuple[str, ...], own: bool) -> None:
    """Missing or hung: one line, and nothing is left in the environment that could act in another job."""
    (tmp_path / "init").write_text("init=1\n", encoding="utf-8")
    init = str(tmp_path / "init") if own else ""

    plain = _run(tmp_path, None, own=init)
    unrecorded = _run(tmp_path, _recorder(tmp_path, check=check), own=init)

    assert (plain.returncode, plain.stdout) == (unrecorded.returncode, unrecorded.stdout)
    assert "gsbatch: the job is not recorded: the recorder does not run on this node\n" == unrecorded.stderr
    assert [] == list((tmp_path / "tmp").iterdir())


def test_a_recorder_that_goes_away_costs_the_record_only(tmp_path: Path) -> None:
    """Between the check and the start; bash must not end for it."""
    plain = _run(tmp_path, None)
    unrecorded = _run(tmp_path, _recorder(tmp_path, exists=False))

    assert (plain.returncode, plain.stdout) == (unrecorded.returncode, unrecorded.stdout)


@pytest.mark.parametrize("name", ["task_prolog", "other"])
def test_another_script_of_the_job_is_left_alone(tmp_path: Path, name: str) -> None:
    """A site's TaskProlog is a child of slurmstepd, too; it has the user's own BASH_ENV."""
    (tmp_path / "init").write_text("init=1\n", encoding="utf-8")

    done = _run(tmp_path, _recorder(tmp_path), name=name, own=str(tmp_path / "init"))

    assert 7 == done.returncode
    assert "recorded" not in done.stderr
    assert done.stdout.splitlines()[0].endswith(" 1")
