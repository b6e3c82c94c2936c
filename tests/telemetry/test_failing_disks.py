"""Disks that fail under a running job: the training is untouched, one line says so, and whole lines remain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from advisor.telemetry.reading import parse_trace
from advisor.telemetry.trace import Trace

RECORDER = [sys.executable, "-I", "-m", "advisor.telemetry.recorder"]
Mount = Callable[[str, str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a small file system of its own; for root only."""
    mounted: list[Path] = []

    def tmpfs(name: str, options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False, capture_output=True
        )
        if done.returncode != 0:
            pytest.skip(f"a file system cannot be mounted here: {done.stderr.decode().strip()}")
        mounted.append(folder)
        return folder

    yield tmpfs
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def recorded(spool: Path, submit_folder: Path, seconds: float = 0.5) -> subprocess.Popen[str]:
    """A training of some seconds that ends with 6, sampled fifty times a second."""
    return subprocess.Popen(
        [
            *RECORDER,
            "--spool",
            str(spool),
            "--interval",
            "0.02",
            "--",
            "sh",
            "-c",
            f"echo out; sleep {seconds}; exit 6",
        ],
        cwd=submit_folder,
        env={**os.environ, "SLURM_JOB_ID": "77", "SLURM_CLUSTER_NAME": "mini", "SLURMD_NODENAME": "n1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def traces_in(folder: Path) -> list[Trace]:
    """All traces of a folder, of which no line may be damaged."""
    found = [parse_trace(path.read_text(encoding="utf-8")) for path in folder.glob("*.trace.jsonl")]
    assert not any(trace.damaged_lines for trace in found)
    return found


@pytest.mark.parametrize("options", ["size=64k,ro", "size=4k,nr_inodes=1"])
def test_spool_that_takes_no_file(mount: Mount, tmp_path: Path, options: str) -> None:
    """Read-only, or full from the start: the trace lies in the submit folder."""
    job = recorded(mount("spool", options), tmp_path)
    out, err = job.communicate(timeout=60)
    (trace,) = traces_in(tmp_path)

    assert (6, "out\n", 1) == (job.returncode, out, err.count("\n"))
    assert "the trace is " in err
    assert trace.footer is not None


def test_disk_that_fills_up_while_the_job_runs(mount: Mount, tmp_path: Path) -> None:
    """What the full disk holds stays readable; the rest, from the first line that did not fit, lies elsewhere."""
    spool = mount("spool", "size=8k")
    job = recorded(spool, tmp_path, seconds=3.0)
    out, err = job.communicate(timeout=60)
    (before,), (after,) = traces_in(spool), traces_in(tmp_path)

    assert (6, "out\n", 1) == (job.returncode, out, err.count("\n"))
    assert "No space left" in err
    assert before.samples
    assert before.footer is None
    assert after.footer is not None
    assert len(before.samples) + len(after.samples) == after.footer.samples


def test_no_folder_at_all(mount: Mount) -> None:
    """Spool and submit folder both fail: memory alone, one line, the training's status."""
    full = mount("full", "size=4k,nr_inodes=1")
    job = recorded(full / "spool", full)
    out, err = job.communicate(timeout=60)

    assert (6, "out\n", 1) == (job.returncode, out, err.count("\n"))
    assert "the trace is not kept" in err


def test_everything_killed_at_once(tmp_path: Path) -> None:
    """Of recorder, sampler and training after kill -9: what was written is read, in whole lines."""
    job = recorded(tmp_path / "spool", tmp_path, seconds=60)
    _wait_for_samples(tmp_path / "spool", 1)
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate(timeout=60)
    (trace,) = traces_in(tmp_path / "spool")

    assert "77" == trace.header.job_id
    assert trace.samples
    assert trace.footer is None


def test_after_sigterm_nothing_waits_to_be_written(tmp_path: Path) -> None:
    """Slurm sends SIGTERM and, KillWait later, SIGKILL: a training that ignores the first is recorded to the second."""
    job = recorded(tmp_path / "spool", tmp_path, seconds=60)
    written = _wait_for_samples(tmp_path / "spool", 1)
    sampler = next(child for child in _children(job.pid) if "advisor.telemetry.sampler" in _command(child))
    os.kill(sampler, signal.SIGTERM)
    _wait_for_samples(tmp_path / "spool", written + 3)
    killed_at = time.time()
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate(timeout=60)
    (trace,) = traces_in(tmp_path / "spool")

    assert killed_at - trace.samples[-1].time_s < 0.5


def _wait_for_samples(spool: Path, least: int) -> int:
    """Wait until so many samples stand in the trace; how many there are."""
    deadline_s = time.monotonic() + 30
    while True:
        found = sum(file.read_text(encoding="utf-8").count('"sample"') for file in spool.glob("*.trace.jsonl"))
        if found >= least:
            return found
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def _command(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
