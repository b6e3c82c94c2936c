"""The recorder as a job runs it: a real process around a real command."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from advisor.telemetry.reading import parse_trace, summarise
from advisor.telemetry.trace import Trace

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Where the recorder is told to write; it makes the folder."""
    return tmp_path / "spool"


@pytest.fixture
def start(spool: Path, tmp_path: Path) -> Start:
    """Start a command under the recorder, in a process group of its own, as slurmstepd starts a batch script."""

    def run(*command: str, options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        recorder = [sys.executable, "-I", "-m", "advisor.telemetry.recorder", "--spool", str(spool), *options]
        environment = {**os.environ, "SLURM_JOB_ID": "77", "SLURM_CLUSTER_NAME": "mini", "SLURMD_NODENAME": "n1"}
        return subprocess.Popen(
            [*recorder, "--", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
            start_new_session=True,
        )

    return run


def trace_in(folder: Path) -> Trace:
    """The one trace of a folder."""
    (path,) = folder.glob("*.trace.jsonl")
    return parse_trace(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("raise SystemExit(3)", 3, "exited"),
        ("import sys; sys.exit(0)", 0, "exited"),
        ("import os; os._exit(7)", 7, "exited"),
        ("raise ValueError", 1, "exited"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143, "signal SIGTERM"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137, "signal SIGKILL"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 139, "signal SIGSEGV"),
    ],
)
def test_status_of_the_training_is_the_jobs(start: Start, spool: Path, code: str, status: int, reason: str) -> None:
    """However the training ends, the recorder ends with its status and closes the trace with the reason."""
    done = start(sys.executable, "-c", code)
    done.communicate(timeout=60)
    footer = trace_in(spool).footer

    assert status == done.returncode
    assert footer is not None
    assert (status, reason) == (footer.exit_status, footer.reason)


def test_output_and_input_are_the_trainings_own(start: Start) -> None:
    """Nothing of ours is on stdout or stderr of a job that goes well."""
    done = start("sh", "-c", "echo out; echo err >&2")

    assert ("out\n", "err\n") == done.communicate(timeout=60)


def test_python_gives_the_training_no_locale(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a job has no locale the training has none either: our Python sets one for itself (PEP 538)."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)

    out, _err = start("sh", "-c", "echo ${LC_CTYPE-none}").communicate(timeout=60)

    assert "none\n" == out


def test_missing_command_ends_as_in_the_shell(start: Start) -> None:
    """127 for what does not exist, and a line that names it."""
    done = start("no-such-program")
    _out, err = done.communicate(timeout=60)

    assert 127 == done.returncode
    assert "no-such-program" in err


COUNTING = """
import signal, sys, time
caught = []
signal.signal(signal.SIGUSR1, lambda *_: caught.append(1))
print("ready", flush=True)
until = time.monotonic() + 1.5
while time.monotonic() < until:
    time.sleep(0.05)
print(len(caught), flush=True)
"""


@pytest.mark.parametrize("to_all", [False, True])
def test_signal_reaches_the_training_once(start: Start, to_all: bool) -> None:
    """A signal to the batch process is handed on; one that Slurm sent to every process of the step is not doubled."""
    job = start(sys.executable, "-c", COUNTING)
    assert job.stdout is not None
    assert "ready\n" == job.stdout.readline()
    _wait_for_sampler(job.pid)
    if to_all:
        for process in [psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)]:
            process.send_signal(signal.SIGUSR1)
    else:
        os.kill(job.pid, signal.SIGUSR1)
    out, _err = job.communicate(timeout=60)

    assert "1\n" == out


def test_a_sampler_that_may_not_run_is_witness_all_the_same(start: Start) -> None:
    """On a busy machine it has not heard yet of a signal that was sent to all: the kernel knows that it will."""
    job = start(sys.executable, "-c", COUNTING)
    assert job.stdout is not None
    assert "ready\n" == job.stdout.readline()
    sampler = _wait_for_sampler(job.pid)
    sampler.suspend()
    for process in [psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)]:
        process.send_signal(signal.SIGUSR1)
    time.sleep(0.5)
    sampler.resume()
    time.sleep(0.1)
    os.kill(job.pid, signal.SIGUSR1)
    out, _err = job.communicate(timeout=60)

    assert "2\n" == out


LISTENING = """
import signal, sys, time
caught = []
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    signal.signal(number, lambda number, _frame: caught.append(number))
print("ready", flush=True)
until = time.monotonic() + 60
while signal.SIGHUP not in caught and time.monotonic() < until:
    time.sleep(0.01)
print(*caught, flush=True)
"""


def test_every_signal_is_handed_on_in_order_and_number(start: Start) -> None:
    """What a program would get from the kernel it gets through the recorder: all signals, real-time ones too.

    A signal that waited to be judged held up the others: 20 USR1, 10 ms apart, arrived as 3.
    """
    numbers = [number for number in signal.valid_signals() if number not in {1, signal.SIGKILL, 17, signal.SIGSTOP}]
    sent = [*sorted(numbers, key=lambda number: -number), *[signal.SIGUSR1] * 20, signal.SIGHUP]
    job = start(sys.executable, "-c", LISTENING)
    assert job.stdout is not None
    assert "ready\n" == job.stdout.readline()
    _wait_for_sampler(job.pid)
    for number in sent:
        os.kill(job.pid, number)
        time.sleep(0.01)
    out, _err = job.communicate(timeout=60)

    assert [int(number) for number in sent] == [int(word) for word in out.split()]
    assert 0 == job.returncode


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_stay_closed_and_are_no_harm(spool: Path, tmp_path: Path, closing: str) -> None:
    """The training finds them as they were, the sampler works, and nothing is printed."""
    look = "n=0; for d in 0 1 2; do if [ -e /proc/$$/fd/$d ]; then n=$((n + 1)); fi; done; exit $n"
    recorder = [sys.executable, "-I", "-m", "advisor.telemetry.recorder", "--spool", str(spool), "--", "sh", "-c", look]
    words = ["sh", "-c", f'exec "$@" {closing}', "sh", *recorder]
    job = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert (3 - len(closing.split()), "", "") == (job.returncode, job.stdout, job.stderr)
    assert trace_in(spool).footer is not None


def test_sigterm_ends_the_training_and_keeps_the_record(start: Start, spool: Path) -> None:
    """An end by scancel or the time limit leaves a closed trace (CodeCarbon 3.3.2 loses its record here)."""
    job = start("sleep", "60")
    _wait_for_sampler(job.pid)
    os.kill(job.pid, signal.SIGTERM)
    job.communicate(timeout=60)
    footer = trace_in(spool).footer

    assert 143 == job.returncode
    assert footer is not None
    assert 143 == footer.exit_status


def test_training_outlives_its_sampler(start: Start, spool: Path) -> None:
    """A kill -9 of the sampler costs the rest of the record, not the training, and what was written stays readable."""
    job = start("sh", "-c", "sleep 1; exit 5")
    _wait_for_sampler(job.pid).kill()
    job.communicate(timeout=60)
    trace = trace_in(spool)

    assert 5 == job.returncode
    assert trace.footer is None
    assert "77" == trace.header.job_id


def test_training_outlives_its_recorder(
    start: Start, spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill -9 of the recorder harms nobody: the training goes on, the sampler with it, and nothing is left behind."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    job = start("sh", "-c", "sleep 2; echo done > finished")
    sampler = _wait_for_sampler(job.pid)
    job.kill()
    job.communicate(timeout=60)
    sampler.wait(timeout=30)

    assert (tmp_path / "finished").exists()
    assert [] == list(temporary.iterdir())
    trace = trace_in(spool)
    assert trace.footer is None
    assert trace.samples[-1].time_s - trace.samples[0].time_s > 1.5


def test_bad_option_costs_the_record_not_the_training(start: Start, spool: Path) -> None:
    """A batch script of another version may name an option that this recorder does not know."""
    done = start("sh", "-c", "echo out; exit 6", options=("--no-such-option", "3"))
    out, err = done.communicate(timeout=60)

    assert (6, "out\n") == (done.returncode, out)
    assert 1 == len(err.splitlines())
    assert "--no-such-option" in err
    assert not spool.exists()


def test_missing_readings_cost_the_record_not_the_training(start: Start) -> None:
    """Readings that cannot be replayed leave one line and the training's status."""
    done = start("sh", "-c", "exit 4", options=("--gpu-readings", "no-such-file"))
    _out, err = done.communicate(timeout=60)

    assert 4 == done.returncode
    assert 1 == len(err.splitlines())


def test_trace_is_private(start: Start, spool: Path) -> None:
    """Other users of a shared file system do not read what was run."""
    start("true").communicate(timeout=60)
    (path,) = spool.glob("*.trace.jsonl")

    assert "mini-77-0-n1.trace.jsonl" == path.name
    assert (0o600, 0o700) == (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(spool.stat().st_mode))


def test_spool_that_cannot_be_written_gives_way_to_the_submit_folder(start: Start, spool: Path, tmp_path: Path) -> None:
    """One warning, the trace beside the job's output, and the training untouched."""
    spool.write_text("not a folder", encoding="utf-8")
    done = start("sh", "-c", "exit 4")
    _out, err = done.communicate(timeout=60)

    assert 4 == done.returncode
    assert 1 == len(err.splitlines())
    assert trace_in(tmp_path).footer is not None


def test_replayed_gpus_stand_in_for_nvml(start: Start, spool: Path) -> None:
    """Recorded readings pass through the whole recorder; their counters are what counts."""
    readings = Path(__file__).parents[1] / "data" / "gpu_readings" / "two_gpus_ramp.jsonl"
    start("sleep", "2.2", options=("--gpu-readings", str(readings), "--interval", "0.5")).communicate(timeout=60)
    trace = trace_in(spool)

    assert 2 == len(trace.header.gpus)
    assert trace.footer is not None
    assert "replay" == trace.footer.energy_source
    # Two GPUs at 100 W, whose counters stand still between readings that are a second apart.
    assert trace.footer.gpu_energy_counter_j in {200.0, 400.0, 600.0}
    assert summarise(trace).gpu_energy_j == trace.footer.gpu_energy_counter_j


@pytest.mark.parametrize("command", [("true",), ("no-such-program",)])
def test_nothing_is_left_in_the_temporary_folder(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """The hook's socket goes with the job, even with one that never began."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    start(*command).communicate(timeout=60)

    assert [] == list(temporary.iterdir())


def test_marks_find_a_place_where_tmpdir_has_none(
    start: Start, spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full, or not there on this node, or a name too long for a socket: another folder takes it, and is left empty."""
    print_marks = "import os; print(os.environ['GSBATCH_MARKS'])"
    for temporary in (tmp_path / "missing", tmp_path / ("long" * 50)):
        monkeypatch.setenv("TMPDIR", str(temporary))
        out, err = start(sys.executable, "-c", print_marks).communicate(timeout=60)
        trace_in(spool)
        shutil.rmtree(spool)

        assert ("", False) == (err, Path(out.strip()).parent.exists())
        assert "/tmp" == str(Path(out.strip()).parents[1])  # noqa: S108 (that it is there is the rule)


def _wait_for_sampler(recorder_pid: int) -> psutil.Process:
    """The sampler, once it witnesses signals: its trace is open then."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for process in psutil.Process(recorder_pid).children():
            if "advisor.telemetry.sampler" in process.cmdline() and any(
                file.path.endswith(".trace.jsonl") for file in process.open_files()
            ):
                return process
        time.sleep(0.02)
    raise AssertionError("the sampler did not start")
