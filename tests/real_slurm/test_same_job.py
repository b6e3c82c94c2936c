"""A job under gsbatch beside the same job under sbatch: the script finds itself, its lines and its shell as ever."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real_slurm.cluster import Cluster
from tests.real_slurm.user import User, make_user

pytestmark = pytest.mark.real_slurm

OWN_PATH = r"""me=$(scontrol show job $SLURM_JOB_ID | sed -n 's/^ *Command=\([^ ]*\).*/\1/p')
cat "$(dirname "$me")/beside.txt"
"""
STATE = """\
echo "$0" "$@" "$#" $- "${BASH_SOURCE[0]}" "${#FUNCNAME[@]}" ${!}
set -o; shopt; jobs; declare -F; alias; trap; umask; pwd; cat /proc/self/comm
"""
VARIABLES = r"""compgen -v | grep -v '^SLURM\|^GSBATCH_\|^PYTHONPATH$\|^_$'
env -0 | cut -z -d= -f1 | tr '\0' '\n' | sort | grep -v '^GSBATCH_\|^PYTHONPATH$'
"""
SCRIPTS = {
    "own path by Command": ("#!/bin/bash", OWN_PATH),
    "own path by Command, sh": ("#!/bin/sh", OWN_PATH),
    "own path by squeue": ("#!/bin/bash", 'cat "$(dirname "$(squeue -h -o %o -j $SLURM_JOB_ID)")/beside.txt"\n'),
    "data after the script": ("#!/bin/bash", 'tail -n +5 "$0"\nexit\n\none\ntwo\n'),
    "data after the script, sh": ("#!/bin/sh", 'tail -n +5 "$0"\nexit\n\none\ntwo\n'),
    "line of an error": ("#!/bin/bash", "true\nno_such_command\necho $LINENO\n"),
    "line of an error, sh": ("#!/bin/sh", "true\nno_such_command\necho $LINENO\n"),
    "traced": ("#!/bin/bash -x", "echo one\n"),
    "strict": ("#!/bin/bash -eu", "echo one\nfalse\necho never\n"),
    "unset variable": ("#!/bin/bash -eu", 'echo one\necho "$NO_SUCH_VARIABLE"\n'),
    "log-in shell": ("#!/bin/bash -l", "shopt login_shell\necho $-\n"),
    "env": ("#!/usr/bin/env bash", "echo $- $#\n"),
    "the shell's own state": ("#!/bin/bash", STATE),
    "variables": ("#!/bin/bash", VARIABLES),
    "descriptors": ("#!/bin/bash", "ls /proc/$$/fd\nreadlink /proc/$$/fd/0\n"),
    "another shell inside": ("#!/bin/bash", "bash -c 'echo ${BASH_ENV-none} $-'\nsh -c 'echo ${BASH_ENV-none}'\n"),
    "another language": (
        "#!/usr/bin/perl",
        'print "$0 @ARGV\\n"; print __LINE__, "\\n"; exit 3;\n',
    ),
    "no Python, killed": ("#!/bin/bash", "kill -TERM $$\nsleep 5\n"),
}
NOT_RECORDED = {"own path by Command, sh", "another language"}


@dataclass(frozen=True, slots=True)
class Jobs:
    """The ids of the same job without and with gsbatch."""

    plain: str
    recorded: str


@pytest.fixture(scope="module")
def alice(cluster: Cluster, site: Path) -> User:
    """A user with a folder of her own for this file."""
    user = make_user(cluster, site, "same")
    user.write("beside.txt", "beside the script\n")
    return user


@pytest.fixture(scope="module")
def ended(alice: User) -> dict[str, Jobs]:
    """All jobs, both ways, run at the same time."""
    jobs = {}
    for number, (name, (first_line, body)) in enumerate(SCRIPTS.items()):
        alice.write(f"{number}.job", f"{first_line}\n{body}")
        words = (f"{number}.job", "one", "two  words")
        jobs[name] = Jobs(alice.sbatch(*words), alice.gsbatch(*words))
    for pair in jobs.values():
        alice.cluster.wait_for_job(pair.plain, 120.0)
        alice.cluster.wait_for_job(pair.recorded, 120.0)
    return jobs


def _output(alice: User, job_id: str) -> str:
    """What the job printed, with the job's own number taken out of it."""
    text = alice.output(job_id)
    return re.sub(rf"\b(job0*)?{job_id}\b", "JOB", text)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_script_prints_is_the_same(alice: User, ended: dict[str, Jobs], name: str) -> None:
    """To the letter, stderr too."""
    assert _output(alice, ended[name].plain) == _output(alice, ended[name].recorded)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_slurm_shows_is_the_same(alice: User, ended: dict[str, Jobs], name: str) -> None:
    """States and exit codes in accounting; of a bash script the command too."""
    jobs = ended[name]
    fields = ["JobName", "Command", "ExitCode", "JobState"]

    def shown(job_id: str) -> list[str]:
        text = alice.cluster.run(["scontrol", "show", "job", job_id]).stdout
        return re.findall(rf"\b(?:{'|'.join(fields)})=(.*)", text)

    assert alice.accounting(jobs.plain) == alice.accounting(jobs.recorded)
    if SCRIPTS[name][0] != "#!/bin/sh" or name in NOT_RECORDED:
        assert shown(jobs.plain) == shown(jobs.recorded)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_job_is_measured(alice: User, ended: dict[str, Jobs], name: str) -> None:
    """Where its shell lets it; each such job has one trace, closed with the script's own status."""
    traces = alice.traces(ended[name].recorded)

    assert (0 if name in NOT_RECORDED else 1) == len(traces)
    assert all(trace.footer is not None for trace in traces)


LOOKS = """\
import os, sys
import beside
print(__file__, __name__, sys.path[0], sys.argv, beside.VALUE, os.getcwd())
def fails():
    raise ValueError("of VERSION")
fails()
"""


def test_a_python_file_runs_as_it_was_when_it_was_submitted(alice: User) -> None:
    """Edited or removed while the job waits: the text is the submitted one, where and what it is called stays."""
    alice.write("beside.py", "VALUE = 7\n")
    submitted = LOOKS.replace("VERSION", "the submission")
    outputs = []
    for change in ("none", "edited", "removed"):
        alice.write("lr.py", submitted)
        job_id = alice.gsbatch("-H", "lr.py", "--epochs", "2 of 3")
        if change == "edited":
            alice.write("lr.py", LOOKS.replace("VERSION", "now"))
        if change == "removed":
            (alice.folder / "lr.py").unlink()
        alice.cluster.run(["scontrol", "release", job_id])
        assert "FAILED" == alice.cluster.wait_for_job(job_id)
        outputs.append([line for line in alice.output(job_id).splitlines() if not line.startswith("gsbatch: ")])
        (trace,) = alice.traces(job_id)
        assert trace.footer is not None
        assert 1 == trace.footer.exit_status

    path = alice.folder / "lr.py"
    assert f"{path} __main__ {alice.folder} ['{path}', '--epochs', '2 of 3'] 7 {alice.folder}" == outputs[0][0]
    assert f'  File "{path}", line 6, in <module>' in outputs[0]
    assert "ValueError: of the submission" == outputs[0][-1]
    assert outputs[0][0] == outputs[1][0] == outputs[2][0]
    assert all(outputs[0][-1] == output[-1] for output in outputs)
    assert not any("<string>" in line or "gsbatch_source" in line for output in outputs for line in output)
