"""Nothing that a user wrote ends gsbatch before it has submitted the job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.gsbatch_calls import FACTS, Gsbatch, make_gsbatch
from tests.fakes.fake_sbatch import install_fake_sbatch

SUBMITTED = ("Submitted batch job 42\n", 0)
# Stands for a fault that no input is known to cause; the real ones that were known are mended, and tried below.
WITH_FAULT = """
import ctypes, os, sys, time
from advisor.cli import gsbatch, supervised
import advisor.workflows.submit as submit
def fault(*arguments, **named):
    {fault}
setattr(submit, {function!r}, fault)
supervised._READING_S = 2.0
sys.argv[0] = "gsbatch"
{before}
gsbatch.main()
"""
FAULTS = {
    "segmentation fault": "ctypes.string_at(0)",
    "killed": "os.kill(os.getpid(), 9)",
    "memory": "bytearray(10**11)",
    "recursion": "fault()",
    "hangs in C": "ctypes.CDLL(None).sleep(60)",
    "fault of ours": "raise KeyError('x')",
    "ends itself": "raise SystemExit",
}


@pytest.fixture
def gsbatch(tmp_path: Path) -> Gsbatch:
    """A gsbatch with an sbatch that accepts everything."""
    install_fake_sbatch(tmp_path / "bin").answers()
    return make_gsbatch(tmp_path)


def _with_fault(
    gsbatch: Gsbatch, function: str, fault: str, *, stdin: str = "", before: str = ""
) -> subprocess.CompletedProcess[str]:
    code = WITH_FAULT.format(function=function, fault=fault, before=before)
    words = ("--partition=ampere", *FACTS, *([] if stdin else ["train.py", "--epochs=3"]))
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=gsbatch.folder,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=dict(gsbatch.variables),
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_what_ends_advice_costs_advice_and_no_job(gsbatch: Gsbatch, fault: str) -> None:
    """The plainest batch script is submitted, once, with the user's options and arguments."""
    done = _with_fault(gsbatch, "read_job", FAULTS[fault])

    assert SUBMITTED == (done.stdout, done.returncode)
    (call,) = gsbatch.sbatch.calls()
    assert "--partition=ampere" in call.words
    assert "--epochs=3" in call.text
    assert 1 == done.stderr.count("gsbatch: ")
    assert "advice" in done.stderr


@pytest.mark.parametrize("fault", ["segmentation fault", "killed"])
def test_what_ends_even_the_reading_of_the_script_leaves_it_to_sbatch(gsbatch: Gsbatch, fault: str) -> None:
    """The call becomes that of plain sbatch; a script on standard input is still there for it."""
    done = _with_fault(gsbatch, "load_script", FAULTS[fault], stdin="#!/bin/sh\nhostname\n")

    assert SUBMITTED == (done.stdout, done.returncode)
    (call,) = gsbatch.sbatch.calls()
    assert ("--partition=ampere",) == tuple(call.words)
    assert "#!/bin/sh\nhostname\n" == call.text


def test_a_fork_that_fails_submits_as_sbatch_does(gsbatch: Gsbatch) -> None:
    """A user may have as many processes as they may; sbatch takes the place of this one."""
    before = "def no_fork(): raise BlockingIOError(11, 'Resource temporarily unavailable')\nos.fork = no_fork"
    done = _with_fault(gsbatch, "read_job", "pass", before=before)

    assert SUBMITTED == (done.stdout, done.returncode)
    assert "no process can be started" in done.stderr
    assert ["--partition=ampere", "train.py", "--epochs=3"] == gsbatch.sbatch.calls()[0].words


def test_a_fault_after_the_submission_submits_nothing_twice(gsbatch: Gsbatch) -> None:
    """Once sbatch was called, its job stands; the status says that something went wrong."""
    done = _with_fault(gsbatch, "_keep_ticket", FAULTS["killed"])

    assert (SUBMITTED[0], 128 + signal.SIGKILL) == (done.stdout, done.returncode)
    assert 1 == len(gsbatch.sbatch.calls())


def test_the_job_inherits_no_limit_of_ours(gsbatch: Gsbatch) -> None:
    """The limits of sbatch's own process are handed on to the job."""
    sbatch = gsbatch.sbatch.folder / "sbatch"
    limits = gsbatch.folder / "limits"
    sbatch.write_text(f"#!/bin/sh\nulimit -Sa > {limits}\necho Submitted batch job 42\n", encoding="utf-8")
    plain = subprocess.run(["sh", "-c", "ulimit -Sa"], capture_output=True, text=True, check=True).stdout
    gsbatch(*FACTS, "train.py")

    assert plain == limits.read_text(encoding="utf-8")


def _billion_laughs() -> str:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 11)]
    return "\n".join(rows)


def _interpolations() -> str:
    pairs = zip("abcdefgh", "bcdefghi", strict=True)
    return "[DEFAULT]\na = x\n" + "".join(f"{new} = {f'%({old})s' * 400}\n" for old, new in pairs)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nested.yaml", "a: " + "[" * 40_000 + "]" * 40_000),
        ("aliases.yaml", _billion_laughs()),
        ("nested.json", "[" * 100_000 + "]" * 100_000),
        ("nested.toml", "a = " + "[" * 40_000 + "]" * 40_000),
        ("bomb.ini", _interpolations()),
    ],
    ids=["yaml", "aliases", "json", "toml", "ini"],
)  # fmt: skip
def test_a_configuration_of_any_depth_and_size_costs_no_job(gsbatch: Gsbatch, name: str, text: str) -> None:
    """A script's configuration is read before the job is submitted, in bounds."""
    (gsbatch.folder / name).write_text(text, encoding="utf-8")
    loads = {
        ".yaml": "yaml.safe_load(open('{0}'))", ".json": "json.load(open('{0}'))",
        ".toml": "tomllib.load(open('{0}', 'rb'))", ".ini": "configparser.ConfigParser().read('{0}')",
    }[Path(name).suffix].format(name)  # fmt: skip
    source = (
        f"import configparser, json, tomllib, yaml\nimport torch\nc = {loads}\nfor epoch in range(c['a'][0]): pass\n"
    )
    (gsbatch.folder / "train.py").write_text(source, encoding="utf-8")
    done = gsbatch("--no-probe", "--set", "batch_size=32", "train.py")

    assert SUBMITTED == (done.stdout, done.returncode)
    assert 1 == len(gsbatch.sbatch.calls())
    assert "advice crashed" not in done.stderr


@pytest.mark.parametrize(
    "source",
    [
        "x = '%2147483647d' % 1\n",
        "x = f'{1:>3000000000}'\n",
        "x = 'a' * 10**10\n",
        "x = [0] * 10**10\n",
        "x = 10 ** 10 ** 10\n",
        "x = 1 << 10**11\n",
        "x = " + "(" * 100_000 + ")" * 100_000 + "\n",
        "x = " + "-" * 100_000 + "1\n",
        "x = " + "a." * 100_000 + "b\n",
        "x = " + "1 + " * 100_000 + "1\n",
    ],
    ids=["format", "f-string", "text", "list", "power", "shift", "brackets", "signs", "attributes", "sums"],
)
def test_a_source_that_asks_for_everything_costs_no_job(gsbatch: Gsbatch, source: str) -> None:
    """Reading a script evaluates what is constant in it; that may be more than a machine has."""
    (gsbatch.folder / "train.py").write_text(f"import torch\n{source}", encoding="utf-8")
    begun = time.monotonic()
    done = gsbatch(*FACTS, "train.py")

    assert SUBMITTED == (done.stdout, done.returncode)
    assert 1 == len(gsbatch.sbatch.calls())
    assert "advice crashed" not in done.stderr
    assert time.monotonic() - begun < 60.0


@pytest.mark.parametrize("variable", ["GSBATCH_SITE_CONFIG", "GSBATCH_GPU_CATALOGUE", "GSBATCH_INVENTORY"])
@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_a_device_or_pipe_in_place_of_a_file_is_not_waited_for(gsbatch: Gsbatch, variable: str, kind: str) -> None:
    """/dev/zero has no end, and a pipe that nobody writes to has no beginning."""
    os.mkfifo(gsbatch.folder / "pipe")
    path = "/dev/zero" if kind == "device" else str(gsbatch.folder / "pipe")
    done = gsbatch(*FACTS, "train.py", **{variable: path})

    assert SUBMITTED == (done.stdout, done.returncode)
    assert path in done.stderr


@pytest.mark.parametrize("path", ["/dev/zero", "pipe"])
def test_a_device_or_pipe_as_script_is_left_to_sbatch(gsbatch: Gsbatch, path: str) -> None:
    """It cannot be read twice."""
    os.mkfifo(gsbatch.folder / "pipe")
    done = gsbatch(path)

    assert SUBMITTED == (done.stdout, done.returncode)
    assert [path] == gsbatch.sbatch.calls()[0].words[-1:]
