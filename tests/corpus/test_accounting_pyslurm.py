"""Through pyslurm, accounting gives the same values as through sacct."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from advisor.corpus.accounting import AccountedJob, parse_sacct
from advisor.corpus.accounting_pyslurm import read_with_pyslurm
from advisor.corpus.ask_accounting import ask_accounting
from advisor.errors import SlurmError, UsageError
from advisor.inventory.read import backend_in_use
from tests.corpus.test_accounting import fake_sacct, recorded_answer

RECORDED = Path(__file__).parents[1] / "data" / "slurm" / "25.11.7" / "sacct.json"
UIDS = {"alice": 1001, "bob": 1002}


class RPCError(Exception):
    """What pyslurm raises where slurmdbd does not answer."""


class ReplayedAccounting:
    """``pyslurm.db.Jobs`` with the attribute values that 25.11's makes of what a real slurmdbd said (sacct --json)."""

    RPCError = RPCError

    def __init__(self, *, up: bool = True, **changes: object) -> None:
        records = json.loads(RECORDED.read_text())["jobs"]
        self.asked: list[int] = []
        self.db = SimpleNamespace(Jobs=self, JobFilter=lambda **words: words)
        self._up = up
        self._jobs = [SimpleNamespace(**(vars(replayed_job(record)) | changes)) for record in records]

    def load(self, words: dict[str, Any]) -> SimpleNamespace:
        """Jobs of these ids or arrays of them, by cluster and id."""
        if not self._up:
            raise RPCError("Failed to open connection to slurmdbd")
        self.asked += words["ids"]
        found = {job.id: job for job in self._jobs if {job.id, job.array_id} & set(words["ids"])}
        return SimpleNamespace(data={"mini25": found})


def replayed_job(record: dict[str, Any]) -> SimpleNamespace:
    """The attributes of one ``pyslurm.db.Job``."""
    times, task = record["time"], record["array"]["task_id"]
    return SimpleNamespace(
        id=record["job_id"],
        array_id=record["array"]["job_id"] or None,
        array_task_id=(task["number"] or None) if task["set"] else None,
        array_tasks_waiting=record["array"]["task"] or None,
        heterogeneous_id=record["het"]["job_id"],
        heterogeneous_offset=0,
        cluster=record["cluster"],
        user_name=record["user"],
        user_id=UIDS[record["user"]],
        account=record["account"],
        partition=record["partition"],
        state=record["state"]["current"][0],
        exit_code=record["exit_code"]["return_code"]["number"],
        exit_code_signal=record["exit_code"]["signal"]["id"]["number"],
        elapsed_time=times["elapsed"] or None,
        submit_time=times["submission"] or None,
        start_time=times["start"] or None,
        end_time=times["end"] or None,
        num_nodes=record["allocation_nodes"],
        nodelist=record["nodes"],
        requeue_count=record["restart_cnt"],
        allocated_tres=replayed_tres(record["tres"]["allocated"]),
        steps={step["step"]["id"]: replayed_step(step) for step in record["steps"]},
    )


def replayed_tres(entries: list[dict[str, Any]]) -> SimpleNamespace | None:
    """The attributes of ``pyslurm.db.TrackableResources``."""
    if not entries:
        return None
    counts = {entry["type"]: SimpleNamespace(count=entry["count"]) for entry in entries if not entry["name"]}
    gres = {entry["name"]: SimpleNamespace(count=entry["count"]) for entry in entries if entry["type"] == "gres"}
    return SimpleNamespace(gres=gres, cpu=counts.get("cpu"), mem=counts.get("mem"))


def replayed_step(step: dict[str, Any]) -> SimpleNamespace:
    """The attributes of one ``pyslurm.db.JobStep`` that are read."""
    peaks = [entry["count"] for entry in step["tres"]["requested"]["max"] if entry["type"] == "mem"]
    energy_j = step["statistics"]["energy"]["consumed"]["number"]
    return SimpleNamespace(stats=SimpleNamespace(consumed_energy=energy_j, max_resident_memory=max(peaks, default=0)))


@pytest.fixture
def by_sacct() -> dict[str, AccountedJob]:
    """What sacct's text said of the same jobs at the same moment."""
    return {job.job_id: job for job in parse_sacct(recorded_answer("25.11.7"))}


def test_pyslurm_and_sacct_give_the_same_values(by_sacct: dict[str, AccountedJob]) -> None:
    """Every recorded job, array tasks and failed ones among them, is the same value through both."""
    found, requeued = read_with_pyslurm(ReplayedAccounting(), list(by_sacct))

    assert by_sacct == {job.job_id: job for job in found}
    assert [] == requeued


def test_a_task_is_asked_for_by_its_array(by_sacct: dict[str, AccountedJob]) -> None:
    """Pyslurm knows job ids only: a task is loaded with its array and the other tasks are left out."""
    pyslurm = ReplayedAccounting()
    found, _ = read_with_pyslurm(pyslurm, ["5_2"])

    assert [5] == pyslurm.asked
    assert [by_sacct["14"]] == found
    assert ["5_1", "5_2", "5_3"] == sorted(job.shown_id for job in read_with_pyslurm(pyslurm, ["5"])[0])


def test_task_zero_has_its_number() -> None:
    """Pyslurm 25.11 gives None for task 0; the task is shown as N_0."""
    found, _ = read_with_pyslurm(ReplayedAccounting(array_id=5, array_task_id=None), ["13"])

    assert ["5_0"] == [job.shown_id for job in found if job.job_id == "13"]


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [("0x3E0", "5_[5-9]"), ("0x1", "5_[0]"), ("0x92F", "5_[0-3,5,8,11]"), ("2-4", "5_[2-4]")],
)
def test_tasks_that_wait_are_shown_as_sacct_shows_them(waiting: str, expected: str) -> None:
    """A real slurmdbd 25.11 gives the tasks of a waiting array as a hexadecimal mask."""
    pyslurm = ReplayedAccounting(array_id=5, array_task_id=None, array_tasks_waiting=waiting)
    found, _ = read_with_pyslurm(pyslurm, ["13"])

    assert [expected] == [job.shown_id for job in found if job.job_id == "13"]


def test_the_first_component_of_a_heterogeneous_job_has_its_number() -> None:
    """Pyslurm 25.11 gives None for offset 0; a component asked for as N+0 is found."""
    pyslurm = ReplayedAccounting(array_id=None, heterogeneous_id=2, heterogeneous_offset=None)
    found, _ = read_with_pyslurm(pyslurm, ["2+0"])

    assert ["2+0"] == [job.shown_id for job in found if job.job_id == "2"]


def test_requeued_jobs_are_told() -> None:
    """Pyslurm loads the last attempt only; the caller asks sacct for the others."""
    assert ["2"] == read_with_pyslurm(ReplayedAccounting(requeue_count=1), ["2"])[1]


def test_slurmdbd_down_is_a_slurm_error() -> None:
    """Pyslurm's own error does not leave this step."""
    with pytest.raises(SlurmError, match="Failed to open connection"):
        read_with_pyslurm(ReplayedAccounting(up=False), ["2"])


def test_sacct_is_asked_where_pyslurm_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With auto and no pyslurm, one sacct answers and slurmctld is not asked anything."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "answer").write_text(recorded_answer("25.11.7"))
    fake_sacct(tmp_path, f"cat {tmp_path}/answer")
    program = tmp_path / "scontrol"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    program.chmod(0o755)

    assert {"1", "2"} <= {job.job_id for job in ask_accounting(["1", "2"], backend="auto")}
    assert not (tmp_path / "asked").exists()


def test_pyslurm_does_not_ask_a_slurmdbd_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hung slurmdbd held pyslurm for minutes: sacct, which is ended in time, is asked in its place."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "answer").write_text(recorded_answer("25.11.7"))
    fake_sacct(tmp_path, f"cat {tmp_path}/answer")
    for name, lines in (("scontrol", "echo 'SLURM_VERSION = 25.11.7'"), ("sacctmgr", "exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / name).chmod(0o755)
    metadata = tmp_path / "pyslurm-25.11.2.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: pyslurm\nVersion: 25.11.2\n")
    monkeypatch.syspath_prepend(tmp_path)
    without_accounting = ModuleType("pyslurm")
    without_accounting.__spec__ = ModuleSpec("pyslurm", None)
    monkeypatch.setitem(sys.modules, "pyslurm", without_accounting)

    assert "pyslurm" == backend_in_use().backend
    assert {"1", "2"} <= {job.job_id for job in ask_accounting(["1", "2"], backend="auto")}


def test_nothing_is_asked_for_no_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ingest without news asks nobody."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert () == ask_accounting([], backend="commands")


def test_forced_pyslurm_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who forces pyslurm on a machine without it is told so."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program = tmp_path / "scontrol"
    program.write_text("#!/bin/sh\necho 'SLURM_VERSION = 25.11.7'\necho 'ClusterName = mini25'\n")
    program.chmod(0o755)
    with pytest.raises(UsageError, match="pyslurm is not installed"):
        ask_accounting(["1"], backend="pyslurm")


def test_nothing_allocated_is_absent(by_sacct: dict[str, AccountedJob]) -> None:
    """A job that waits has no CPUs, memory or GPUs, as through sacct."""
    found, _ = read_with_pyslurm(ReplayedAccounting(allocated_tres=None, state="PENDING"), ["2"])
    expected = replace(by_sacct["2"], state="PENDING", started_at=None, cpus=None, memory_bytes=None, gpus=None)

    assert [expected] == found
