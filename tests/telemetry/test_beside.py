"""A dry run beside a training that goes on: what it looks at, what it may use, and that nothing of it is left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from advisor.inspection.confine import way_here
from advisor.inspection.inspect import ScriptToInspect
from advisor.inspection.workload import Fact, Source, Workload
from advisor.submission.environment import INJECTED_FOLDER
from advisor.telemetry.beside import DryRunBeside
from advisor.telemetry.inspect_training import Training, memory_for_dry_run, script_of, training_of
from advisor.telemetry.reading import parse_trace
from advisor.telemetry.trace import Trace
from advisor.units import GIB
from tests.capabilities import frameworks_python

TRAIN = """\
import os, sys, time
import torch
from torch.utils.data import DataLoader, TensorDataset

network = torch.nn.Linear(8, 3)
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
loader = DataLoader(TensorDataset(torch.randn(96, 8), torch.randint(0, 3, (96,))), batch_size=32)
open("started", "a").write("once\\n")
for epoch in range(400):
    for samples, labels in loader:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(samples), labels).backward()
        optimizer.step()
    time.sleep(float(sys.argv[1]))
    if os.path.exists("enough"):
        break
"""

Found = TypeVar("Found")
confinable = pytest.mark.skipif(not way_here(), reason="this machine cannot confine a dry run")


def training(tmp_path: Path, words: str = "python3 train.py --epochs 3", **environment: str) -> Training:
    """A process that trains with a script of this folder."""
    (tmp_path / "train.py").write_text("import torch.distributed\n", encoding="utf-8")
    return Training(
        words=tuple(words.split()), folder=tmp_path, environment={"PATH": os.environ["PATH"], **environment}
    )


def test_the_training_says_itself_what_to_dry_run(tmp_path: Path) -> None:
    """Script, arguments, folder and interpreter are those of the process; nothing of a batch script is read."""
    found = script_of(training(tmp_path))

    assert isinstance(found, ScriptToInspect)
    assert (tmp_path / "train.py", ("--epochs", "3"), tmp_path, 1) == (
        found.path, found.arguments, found.folder, found.processes,
    )  # fmt: skip
    assert found.interpreter[0].startswith("/")


@pytest.mark.parametrize(
    "environment",
    [{"WORLD_SIZE": "4", "RANK": "0"}, {"SLURM_NTASKS": "4", "SLURM_STEP_TASKS_PER_NODE": "4"}],
    ids=["torchrun", "srun"],
)
def test_processes_that_train_together_count_together(tmp_path: Path, environment: dict[str, str]) -> None:
    """The process that is looked at is one of several; how many is in its environment."""
    found = script_of(training(tmp_path, **environment))

    assert isinstance(found, ScriptToInspect)
    assert 4 == found.processes
    assert Fact(4, Source.LAUNCHER) == found.facts["devices"]


def test_what_is_no_script_is_not_dry_run(tmp_path: Path) -> None:
    """Code that was given as text cannot be found again."""
    assert isinstance(script_of(training(tmp_path, "python3 -c pass")), str)


@pytest.mark.parametrize(
    ("environment", "memory_bytes"),
    [
        ({"SLURM_MEM_PER_NODE": "8192"}, 2 * GIB),
        ({"SLURM_MEM_PER_CPU": "4096", "SLURM_CPUS_ON_NODE": "4"}, 4 * GIB),
        ({"SLURM_MEM_PER_GPU": "4096", "SLURM_GPUS_ON_NODE": "3"}, 3 * GIB),
        ({"SLURM_MEM_PER_NODE": "262144"}, 6 * GIB),
        ({"SLURM_MEM_PER_NODE": "2048"}, None),
    ],
)
def test_a_dry_run_takes_a_quarter_of_the_jobs_memory(environment: dict[str, str], memory_bytes: int | None) -> None:
    """A job whose memory runs out is killed, so one that has little is not inspected."""
    assert memory_bytes == memory_for_dry_run(environment)


def test_a_process_is_seen_as_the_kernel_shows_it() -> None:
    """Words and environment of a process of one's own; of one that is gone, nothing."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    seen = training_of(os.getpid())

    assert seen is not None
    assert tuple(sys.orig_argv) == tuple(seen.words)
    assert os.environ["PATH"] == seen.environment["PATH"]
    assert training_of(ended.pid) is None


def test_none_is_started_where_none_is_wanted() -> None:
    """A job that was dry-run before it was submitted has no second one."""
    taken: list[Workload] = []
    beside = DryRunBeside(None, taken.append)
    beside.begin(os.getpid())

    assert [] == beside.descriptors()
    beside.end()


@confinable
def test_a_training_is_inspected_beside_itself(tmp_path: Path) -> None:
    """The facts are in the trace while the training goes on; it runs once, and its files are its own."""
    recorder = start_recorder(tmp_path, pause_s=0.2)
    trace = wait_for(lambda: with_workload(tmp_path))
    (tmp_path / "enough").touch()

    assert 0 == recorder.wait(60)
    workload = trace.workload
    assert workload is not None
    assert (27, 32, 96, Source.PROBE) == (
        workload.parameters.value, workload.batch_size.value, workload.train_samples.value, workload.parameters.source,
    )  # fmt: skip
    assert "once\n" == (tmp_path / "started").read_text(encoding="utf-8")
    assert [] == list((tmp_path / "tmp").glob("gsbatch-*"))


@confinable
def test_a_dry_run_ends_with_its_training(tmp_path: Path) -> None:
    """A training that is faster than its dry run waits for nothing, and neither a process nor a file is left."""
    recorder = start_recorder(tmp_path, pause_s=0.05)
    inspection = wait_for(lambda: inspections_of(recorder.pid))
    (tmp_path / "enough").touch()
    asked_at = time.monotonic()

    assert 0 == recorder.wait(60)
    assert time.monotonic() - asked_at < 10
    assert [] == [process for process in inspection if process.is_running()]
    assert [] == list((tmp_path / "tmp").glob("gsbatch-*"))


def start_recorder(folder: Path, *, pause_s: float) -> subprocess.Popen[bytes]:
    """A torch training under the recorder, told to inspect it; temporary files go to a folder of their own."""
    python = frameworks_python("torch")
    if python is None:
        pytest.skip("no interpreter with PyTorch: tests/frameworks.sh makes it")
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    (folder / "tmp").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    words = [sys.executable, "-I", "-m", "advisor.telemetry.recorder", "--spool", "spool", "--probe", "on", "--"]
    return subprocess.Popen(
        [*words, python, "train.py", str(pause_s)],
        cwd=folder,
        env={**environment, "SLURM_MEM_PER_NODE": "8192", "TMPDIR": str(folder / "tmp")},
    )


def with_workload(folder: Path) -> Trace | None:
    """The trace, once it holds a workload."""
    for path in (folder / "spool").glob("*.trace.jsonl"):
        trace = parse_trace(path.read_text(encoding="utf-8"))
        if trace.workload is not None:
            return trace
    return None


def inspections_of(recorder: int) -> list[psutil.Process]:
    """The inspection and its dry run, once both have begun."""
    found = [
        process
        for process in psutil.Process(recorder).children(recursive=True)
        if "advisor.telemetry.inspect_training" in (words := process.cmdline()) or INJECTED_FOLDER in " ".join(words)
    ]
    return found if len(found) > 1 else []


def wait_for(look: Callable[[], Found | None], within_s: float = 60.0) -> Found:
    """What ``look`` finds, as soon as it finds anything."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise TimeoutError
