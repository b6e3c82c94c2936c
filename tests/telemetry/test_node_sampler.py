"""Nodes without a recorder: the first task of a step starts the node's sampler, the last one closes its trace."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from advisor.telemetry.host import HostSensor
from advisor.telemetry.marks_socket import TaskWord
from advisor.telemetry.node_sampler import StepTasks
from advisor.telemetry.reading import parse_trace, summarise
from advisor.telemetry.trace import Trace

RECORDER = [sys.executable, "-I", "-m", "advisor.telemetry.recorder"]
# What srun does on the second of two nodes: a task of step 0 with the batch script's environment.
TASK_ELSEWHERE = (
    "import os, sys; os.environ.update({changes}); os.execv(sys.executable, [sys.executable, '-c', {code}])"
)
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a batch script of Python on node n1 of a job with two nodes."""

    def recorded(code: str, **changes: str) -> subprocess.CompletedProcess[str]:
        slurm = {
            "SLURM_JOB_ID": "77",
            "SLURM_CLUSTER_NAME": "mini",
            "SLURMD_NODENAME": "n1",
            "SLURM_JOB_NUM_NODES": "2",
        }
        command = [*RECORDER, "--spool", str(tmp_path / "spool"), "--", sys.executable, "-c", code]
        environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), **slurm, **changes}
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )

    (tmp_path / "tmp").mkdir()
    return recorded


def elsewhere(code: str, *, task: int = 0, tasks: int = 1) -> str:
    """Python code that runs other Python code as a task on node n2."""
    changes = {"SLURMD_NODENAME": "n2", "SLURM_STEP_ID": "0", "SLURM_NODEID": "1", "SLURM_PROCID": str(task + 1)}
    changes["SLURM_STEP_TASKS_PER_NODE"] = f"1,{tasks}"
    return TASK_ELSEWHERE.format(changes=repr(changes), code=repr(code))


def traces_in(folder: Path) -> dict[str, Trace]:
    """All traces of a folder by their names' ends."""
    found = sorted(folder.glob("*.trace.jsonl"))
    return {path.name.removeprefix("mini-77-0-"): parse_trace(path.read_text(encoding="utf-8")) for path in found}


def test_task_on_another_node_has_that_node_measured(run: Run, tmp_path: Path) -> None:
    """Its trace is of its node and step, closed when Python ends, and nothing of ours is left behind or printed."""
    done = run(elsewhere("x = bytearray(50_000_000); x[::4096] = b'1' * len(x[::4096]); print('out')"))
    traces = traces_in(tmp_path / "spool")

    assert ("out\n", "", 0) == (done.stdout, done.stderr, done.returncode)
    assert ["n1.trace.jsonl", "n2.0.trace.jsonl"] == list(traces)
    there = traces["n2.0.trace.jsonl"]
    assert ("n2", "0", 1, 2) == (there.header.node, there.header.step, there.header.node_rank, there.header.nodes)
    assert there.footer is not None
    assert there.footer.exit_status is None
    assert [] == list((tmp_path / "tmp").iterdir())


def test_another_node_without_that_folder_is_measured(run: Run, tmp_path: Path) -> None:
    """TMPDIR may be the batch node's own, or full: the sampler's socket finds another place."""
    missing = f"import os; os.environ['TMPDIR'] = {str(tmp_path / 'missing')!r}\n"
    done = run(missing + elsewhere("print('out')"))

    assert ("out\n", "") == (done.stdout, done.stderr)
    assert ["n1.trace.jsonl", "n2.0.trace.jsonl"] == list(traces_in(tmp_path / "spool"))


TASKS = """
import subprocess, sys
codes = {codes}
tasks = [subprocess.Popen([sys.executable, "-c", code]) for code in codes]
sys.exit(sum(task.wait() for task in tasks))
"""


def test_tasks_of_a_node_share_its_sampler(run: Run, tmp_path: Path) -> None:
    """One trace, which goes on until the last of them has ended."""
    holding = "import time; x = bytearray(40_000_000); x[::4096] = b'1' * len(x[::4096]); time.sleep({})"
    codes = [elsewhere(holding.format(seconds), task=task, tasks=2) for task, seconds in enumerate((1.0, 5.0))]
    done = run(TASKS.format(codes=repr(codes)))
    traces = traces_in(tmp_path / "spool")
    summary = summarise(traces["n2.0.trace.jsonl"])

    assert 0 == done.returncode, done.stderr
    assert 2 == len(traces)
    assert summary.duration_s > 2.0
    assert (summary.host_memory_bytes or 0) > 80_000_000


def test_epochs_of_a_first_process_elsewhere_are_in_that_nodes_trace(run: Run, tmp_path: Path) -> None:
    """Its marks go to the sampler of the node that it runs on."""
    marking = (
        "import gsbatch_inside; "  # loaded by the hook, whose folder is not on the path
        "from gsbatch_inside.epochs.sender import MarkSender; import os, time; "
        "sender = MarkSender(os.environ['GSBATCH_MARKS']); "
        "sender.send('epoch_begin', 0, 0); time.sleep(0.2); sender.send('epoch_end', 0, 0)"
    )
    run(elsewhere(marking))
    traces = traces_in(tmp_path / "spool")

    assert (0, 1) == (len(traces["n1.trace.jsonl"].epochs), len(traces["n2.0.trace.jsonl"].epochs))


def test_training_that_waits_for_all_its_children_ends(run: Run) -> None:
    """The sampler is nobody's child: waiting for any child finds none."""
    waiting = "import os\ntry:\n    os.wait()\nexcept ChildProcessError:\n    print('none')"

    assert "none\n" == run(elsewhere(waiting)).stdout


def test_sampler_that_cannot_start_costs_nothing(run: Run, tmp_path: Path) -> None:
    """A node without advisor's Python runs the task as if nobody measured."""
    missing = f"import os; sampler = os.environ['GSBATCH_SAMPLER'].replace({sys.executable!r}, '/no/such/python')\n"
    code = missing + "os.environ['GSBATCH_SAMPLER'] = sampler\n" + elsewhere("print('out')")
    done = run(code)

    assert ("out\n", "", 0) == (done.stdout, done.stderr, done.returncode)
    assert ["n1.trace.jsonl"] == list(traces_in(tmp_path / "spool"))


def test_task_of_a_step_on_the_recorders_node_is_counted(run: Run, tmp_path: Path) -> None:
    """It is no descendant of the recorder, and no second trace of the node is made for it."""
    changes = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "0"}
    hold = "import time; x = bytearray(60_000_000); x[::4096] = b'1' * len(x[::4096]); time.sleep(2.5)"
    task = TASK_ELSEWHERE.format(changes=repr(changes), code=repr(hold))
    # Its parent ends at once, as srun's slurmstepd is none of the recorder's processes.
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {task!r}], start_new_session=True)"
    run(f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {orphan!r}]); time.sleep(2.2)")
    traces = traces_in(tmp_path / "spool")

    assert ["n1.trace.jsonl"] == list(traces)
    assert (summarise(traces["n1.trace.jsonl"]).host_memory_bytes or 0) > 60_000_000


def test_many_tasks_that_begin_at_once_are_all_counted(run: Run, tmp_path: Path) -> None:
    """More than a socket's queue may hold before the sampler has started; none of them fails for it."""
    hold = "import time; x = bytearray(20_000_000); x[::4096] = b'1' * len(x[::4096]); time.sleep(6)"
    done = run(TASKS.format(codes=repr([elsewhere(hold, task=task, tasks=14) for task in range(14)])))
    summary = summarise(traces_in(tmp_path / "spool")["n2.0.trace.jsonl"])

    assert (0, "") == (done.returncode, done.stderr)
    assert (summary.host_memory_bytes or 0) > 14 * 20_000_000


def _process() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_step_has_ended_when_all_that_were_expected_have(tmp_path: Path) -> None:
    """A task that comes late keeps the trace open; one killed without a word does not keep it open for ever."""
    tasks = StepTasks(2, HostSensor(rapl_folder=tmp_path))
    first, second = _process(), _process()
    states = [tasks.have_ended()]
    for kind, process in (("task_begin", first), ("task_begin", second), ("task_end", first)):
        tasks.take(TaskWord(kind, process.pid, None))
        states.append(tasks.have_ended())
    for process in (first, second):
        process.kill()
        process.communicate()

    assert [False, False, False, False] == states
    assert tasks.have_ended()


def test_shell_that_runs_one_python_after_another_may_end_with_each(tmp_path: Path) -> None:
    """It has no last word: what stands in the trace then must be whole, and must not be the end."""
    tasks = StepTasks(1, HostSensor(rapl_folder=tmp_path))
    states = [tasks.may_have_ended()]
    for _ in range(2):
        python = _process()
        tasks.take(TaskWord("task_begin", python.pid, None))
        states.append(tasks.may_have_ended())
        python.kill()  # without a last word, as os._exit leaves
        python.communicate()
        states.append(tasks.may_have_ended())

    assert [False, False, True, False, True] == states


def test_cpu_time_of_ended_tasks_is_kept(tmp_path: Path) -> None:
    """A job that runs step after step has used what all of them used."""
    sensor = HostSensor(rapl_folder=tmp_path)
    burn = "import time\nwhile time.process_time() < 0.4: pass\nprint(flush=True); input()"
    used = []
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as task:
            assert task.stdout is not None
            sensor.add_root(task.pid)
            task.stdout.readline()
            used.append(sensor.read().cpu_time_s or 0.0)
            task.communicate(b"\n")

    assert 0.35 < used[0] < 0.75 < used[1]


def test_reply_ends_the_wait_of_a_task(tmp_path: Path) -> None:
    """Where the sampler was killed a task ends as fast as ever."""
    from_us, to_us = os.pipe()
    TaskWord("task_end", os.getpid(), to_us).heed()
    begun_s = time.monotonic()

    assert b"" == os.read(from_us, 1)
    assert time.monotonic() - begun_s < 1.0
