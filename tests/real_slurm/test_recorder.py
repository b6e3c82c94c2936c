"""The recorder in real jobs: beside each a plain sbatch job of the same script, which Slurm must not tell apart."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from advisor.telemetry.reading import summarise
from advisor.telemetry.trace import Trace
from tests.real_slurm.cluster import Cluster
from tests.real_slurm.user import User, make_user, requeue, wait_until, wait_until_running

pytestmark = pytest.mark.real_slurm

_HAVE_ENDED_S = 150.0
COUNT_SIGNALS = """\
import os, signal, sys, time
caught = []
signal.signal(signal.SIGUSR1, lambda *_: caught.append("USR1"))
signal.signal(signal.SIGUSR2, lambda *_: caught.append("USR2"))
open("ready-" + os.environ["SLURM_JOB_ID"], "w").close()
begun = time.monotonic()
while not caught and time.monotonic() < begun + 100:
    time.sleep(0.1)
time.sleep(1)
print(*caught)
"""
TASK = """\
import os, sys, time
print(os.environ["SLURMD_NODENAME"], os.environ["SLURM_PROCID"], flush=True)
held = bytearray(30_000_000)
held[::4096] = b"1" * len(held[::4096])
until = time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    sum(range(10000))
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A batch script, options of sbatch, and words of scancel where it does not end by itself."""

    script: str
    options: tuple[str, ...] = ()
    scancel: tuple[str, ...] | None = None
    shebang: str = "#!/bin/bash"


CASES = {
    "exit 3": Case("exit 3"),
    "os._exit(7) in Python": Case("python3 -c 'import os; os._exit(7)'"),
    "exception": Case("raise ValueError", shebang="#!/usr/bin/python3"),
    "sys.exit(0)": Case("import sys; sys.exit(0)", shebang="#!/usr/bin/python3"),
    "SIGKILL of the script": Case("kill -KILL $$"),
    "SIGKILL of its last command": Case("sh -c 'kill -KILL $$'"),
    "SIGSEGV of a Python script": Case("import os; os.kill(os.getpid(), 11)", shebang="#!/usr/bin/python3"),
    "scancel": Case("touch ready-$SLURM_JOB_ID\nexec sleep 100", scancel=()),
    "scancel of a script that cleans up": Case(
        "trap 'exit 9' TERM\ntouch ready-$SLURM_JOB_ID\nwhile :; do sleep 0.1; done", scancel=()
    ),
    "time limit": Case("exec sleep 200", ("--time=1",)),
    "time limit, SIGTERM ignored": Case("trap '' TERM\nwhile :; do sleep 0.1; done", ("--time=1",)),
    "--signal to the batch shell": Case(
        "trap 'echo caught; exit 4' USR1\nwhile :; do sleep 0.1; done", ("--time=1", "--signal=B:USR1@55")
    ),
    "--signal to a step": Case("srun python3 count.py", ("--time=1", "--signal=USR1@45")),
    "scancel --signal to the script": Case("exec python3 count.py", scancel=("--signal=USR2", "--batch")),
    "scancel --signal to all": Case("exec python3 count.py", scancel=("--signal=USR2", "--full")),
}


@dataclass(frozen=True, slots=True)
class Jobs:
    """The ids of the same job without and with the recorder."""

    plain: str
    recorded: str


@pytest.fixture(scope="module")
def alice(cluster: Cluster, site: Path) -> User:
    """A user with a folder of her own for this file."""
    user = make_user(cluster, site, "recorder")
    user.write("count.py", COUNT_SIGNALS)
    user.write("task.py", TASK)
    return user


@pytest.fixture(scope="module")
def ended(alice: User) -> dict[str, Jobs]:
    """All cases, run at the same time, because time limits are counted in minutes."""
    jobs = {}
    for number, (name, case) in enumerate(CASES.items()):
        alice.write(f"{number}.job", f"{case.shebang}\n{case.script}\n")
        words = (*case.options, f"{number}.job")
        jobs[name] = Jobs(alice.sbatch(*words), alice.gsbatch(*words))
    for name, case in CASES.items():
        for job_id in (jobs[name].plain, jobs[name].recorded) if case.scancel is not None else ():
            wait_until_running(alice.cluster, job_id)
            wait_until((alice.folder / f"ready-{job_id}").exists, f"job {job_id} has set its traps")
            alice.cluster.run(["scancel", *(case.scancel or ()), job_id])
    for pair in jobs.values():
        alice.cluster.wait_for_job(pair.plain, _HAVE_ENDED_S)
        alice.cluster.wait_for_job(pair.recorded, _HAVE_ENDED_S)
    return jobs


@pytest.mark.parametrize("name", CASES)
def test_slurm_sees_no_difference(alice: User, ended: dict[str, Jobs], name: str) -> None:
    """State and exit code in sacct, of the job and of each step, are those of plain sbatch."""
    jobs = ended[name]

    assert alice.accounting(jobs.plain) == alice.accounting(jobs.recorded)


@pytest.mark.parametrize(
    ("name", "exit_status", "reason"),
    [
        ("exit 3", 3, "exited"),
        ("SIGKILL of the script", 137, "signal SIGKILL"),
        ("SIGSEGV of a Python script", 139, "signal SIGSEGV"),
        ("scancel of a script that cleans up", 9, "exited"),
        ("time limit", 143, "signal SIGTERM"),
        ("--signal to the batch shell", 4, "exited"),
    ],
)
def test_trace_is_closed_with_the_reason(
    alice: User, ended: dict[str, Jobs], name: str, exit_status: int, reason: str
) -> None:
    """Whatever ends a job that may still write, its trace says so in its last line."""
    (trace,) = alice.traces(ended[name].recorded)

    assert trace.footer is not None
    assert (exit_status, reason) == (trace.footer.exit_status, trace.footer.reason)


def test_sigkill_at_the_time_limit_costs_a_second(alice: User, ended: dict[str, Jobs]) -> None:
    """Of a training that ignores SIGTERM the record reaches to SIGKILL, which comes KillWait (5 s) later."""
    job_id = ended["time limit, SIGTERM ignored"].recorded
    (trace,) = alice.traces(job_id)
    # Slurm ends the job's time with SIGTERM.
    ended_at = datetime.fromisoformat(
        alice.cluster.run(["sacct", "-X", "-n", "-P", "-o", "End", "-j", job_id]).stdout.strip()
    )

    assert trace.samples[-1].time_s - ended_at.timestamp() > 3.0


def test_user_signal_reaches_the_training_once(alice: User, ended: dict[str, Jobs]) -> None:
    """As without us: neither lost nor doubled, whether Slurm signals the script, all processes or a step."""
    assert "USR2" == alice.output(ended["scancel --signal to the script"].recorded)
    assert "USR2" == alice.output(ended["scancel --signal to all"].recorded)
    assert "USR1" == alice.output(ended["--signal to a step"].recorded)
    assert "caught" == alice.output(ended["--signal to the batch shell"].recorded)


def test_each_task_of_an_array_has_its_trace(alice: User) -> None:
    """Five tasks are five traces and five runs of the corpus; gseff adds them up."""
    alice.write("array.job", "#!/bin/bash\nsleep 2\nexit $((SLURM_ARRAY_TASK_ID == 3))\n")
    job_id = alice.gsbatch("--array=1-5", "array.job")
    assert "COMPLETED,FAILED" == alice.cluster.wait_for_job(job_id)
    alice.run(str(alice.site / "gsadmin"), "ingest")
    runs = json.loads(alice.run(str(alice.site / "gseff"), job_id, "--json"))

    assert ["1", "2", "3", "4", "5"] == sorted(trace.header.array_task or "" for trace in alice.traces(job_id))
    assert [f"{job_id}_{task}" for task in range(1, 6)] == [run["job_id"] for run in runs]
    assert [0, 0, 1, 0, 0] == [run["exit_status"] for run in runs]
    assert "In all, 5 attempts or tasks: " in alice.run(str(alice.site / "gseff"), job_id)


@pytest.fixture
def requeued(alice: User) -> str:
    """A job that was requeued while it ran, and has completed since."""
    alice.write("again.job", "#!/bin/bash\nexec sleep $((2 + 60 * !SLURM_RESTART_COUNT))\n")
    job_id = alice.gsbatch("--requeue", "again.job")
    cluster = alice.cluster
    wait_until_running(cluster, job_id)
    requeue(cluster, job_id)
    assert "COMPLETED" in cluster.wait_for_job(job_id)
    return job_id


def test_attempts_of_a_requeued_job_are_summed(alice: User, requeued: str) -> None:
    """Each attempt has its own trace, closed with how it ended; the corpus holds both, and gseff adds them up."""
    first, second = alice.traces(requeued)
    alice.run(str(alice.site / "gsadmin"), "ingest")
    runs = json.loads(alice.run(str(alice.site / "gseff"), requeued, "--json"))
    energies = [run["comparisons"]["energy_j"]["measured"] for run in runs]

    assert [0, 1] == [first.header.restart, second.header.restart]
    assert first.footer is not None
    assert second.footer is not None
    assert [(143, "signal SIGTERM"), (0, "exited")] == [
        (footer.exit_status, footer.reason) for footer in (first.footer, second.footer)
    ]
    assert [(0, "REQUEUED"), (1, "COMPLETED")] == [(run["restart"], run["state"]) for run in runs]
    assert [summarise(first).gpu_energy_j, summarise(second).gpu_energy_j] == energies
    assert "In all, 2 attempts or tasks: " in alice.run(str(alice.site / "gseff"), requeued)


def _settled(alice: User, job_id: str) -> list[Trace]:
    """The traces of a job when nothing is added to them any more: on other nodes a step's end outlasts the job's."""
    before, traces = None, alice.traces(job_id)
    while before != traces:
        time.sleep(2.0)
        before, traces = traces, alice.traces(job_id)
    return traces


def test_steps_on_two_nodes_are_one_run(alice: User) -> None:
    """One recorder a node whatever the tasks on it, each step's own trace elsewhere, and the corpus adds them up."""
    last = "$(scontrol show hostnames $SLURM_JOB_NODELIST | tail -1)"
    steps = (
        "srun --ntasks=4 --ntasks-per-node=2 python3 task.py 3",
        f"srun -N1 -n1 -w {last} sh -c 'python3 task.py 1; python3 task.py 2'",
    )
    alice.write("two.job", "#!/bin/bash\n" + "\n".join(steps) + "\n")
    where = ("-p", "rtx", "-N2", "--ntasks-per-node=2", "--gres=gpu:nvidia_geforce_rtx_3090:1", "--mem=1000")
    job_id = alice.gsbatch("two.job", where=where)
    assert "COMPLETED" == alice.cluster.wait_for_job(job_id)
    traces = _settled(alice, job_id)
    alice.run(str(alice.site / "gsadmin"), "ingest")
    (run,) = json.loads(alice.run(str(alice.site / "gseff"), job_id, "--json"))
    energies = [summarise(trace).gpu_energy_j for trace in traces]

    places = [(trace.header.node, trace.header.step) for trace in traces]
    assert [("c3090n1", None), ("c3090n2", "0"), ("c3090n2", "1")] == places
    assert [1, 1, 1] == [len(trace.header.gpus) for trace in traces]
    assert all(trace.footer is not None for trace in traces)
    assert run["comparisons"]["energy_j"]["measured"] == pytest.approx(sum(energy or 0 for energy in energies))
    assert (2, 2, "complete") == (run["nodes"], run["gpus"], run["quality"])
    assert 5 == len(alice.output(job_id).split("\n")) - 1
    # Two tasks of 30 MB and an interpreter each, on either node; the shell's second command counts as well.
    assert all((summarise(trace).host_memory_bytes or 0) > 60_000_000 for trace in traces[:2])
    assert (summarise(traces[2]).duration_s) > 2.5
