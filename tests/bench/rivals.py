"""The recorder beside other wrappers that measure a command, all by the same commands, in turn, on the same machine.

    python -m tests.bench.rivals --rivals FOLDER [--runs 20] [--only NAME]

FOLDER holds a virtual environment for each: ``codecarbon`` (codecarbon==3.3.2), ``carbontracker``
(carbontracker==2.4.7), ``perun`` (perun==1.0.0). Prints Markdown. No wrapper has a GPU to read here.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import psutil

# Long enough for the slowest of them to have started its command.
_BEFORE_SIGTERM_S = 15.0
_LIMIT_S = 180.0


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A wrapper's name, its words before a shell command, and before a Python script."""

    name: str
    before_command: tuple[str, ...]
    before_script: tuple[str, ...]


def wrappers(rivals: Path) -> Iterator[Wrapper]:
    """Ours first."""
    ours = (sys.executable, "-I", "-m", "advisor.telemetry.recorder", "--spool", "spool", "--")
    yield Wrapper("gsbatch's recorder", ours, (*ours, sys.executable))
    codecarbon = (str(rivals / "codecarbon/bin/codecarbon"), "monitor", "--offline", "--country-iso-code", "FRA", "--")
    yield Wrapper("CodeCarbon 3.3.2", codecarbon, (*codecarbon, sys.executable))
    simulated = ("--sim-cpu", "X", "--sim-cpu-tdp", "50", "--sim-gpu", "Y", "--sim-gpu-watts", "100")
    carbontracker = (str(rivals / "carbontracker/bin/carbontracker"), *simulated)
    yield Wrapper("carbontracker 2.4.7", carbontracker, (*carbontracker, sys.executable))
    perun = (str(rivals / "perun/bin/perun"), "monitor")
    yield Wrapper("perun 1.0.0", (*perun, "--binary"), perun)


def _script(folder: Path, name: str, text: str) -> str:
    """An executable file: perun takes no arguments of a command."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return f"./{name}"


def _run(folder: Path, command: list[str]) -> tuple[str, float]:
    """Exit status and seconds."""
    begun_s = time.perf_counter()
    with (folder / "output").open("w") as output:
        try:
            done = subprocess.run(command, cwd=folder, stdout=output, stderr=output, check=False, timeout=_LIMIT_S)
        except subprocess.TimeoutExpired:
            return f"none in {_LIMIT_S:.0f} s", _LIMIT_S
    return str(done.returncode), time.perf_counter() - begun_s


def statuses(wrapper: Wrapper, folder: Path) -> Iterator[str]:
    """What each case of the table ended with."""
    failing = _script(folder, "exit3.sh", "#!/bin/sh\nexit 3\n")
    status, _seconds = _run(folder, [*wrapper.before_command, failing])
    yield status
    _script(folder, "exit0.py", "import sys\nsys.exit(0)\n")
    status, seconds = _run(folder, [*wrapper.before_script, "exit0.py"])
    yield f"{status} after {seconds:.1f} s"
    _script(folder, "killed.py", "import os\nos.kill(os.getpid(), 9)\n")
    status, seconds = _run(folder, [*wrapper.before_script, "killed.py"])
    yield f"{status} after {seconds:.1f} s"
    yield _sigterm(wrapper, folder)


def _sigterm(wrapper: Wrapper, folder: Path) -> str:
    sleeping = _script(folder, "sleep.sh", "#!/bin/sh\nexec sleep 40.125\n")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    with (folder / "output").open("w") as output:
        job = subprocess.Popen(
            [*wrapper.before_command, sleeping], cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
        time.sleep(_BEFORE_SIGTERM_S)
        children = [child for child in psutil.Process(job.pid).children(recursive=True) if "40.125" in child.cmdline()]
        job.send_signal(signal.SIGTERM)
        try:
            status = str(job.wait(timeout=60))
        except subprocess.TimeoutExpired:
            status = "none in 60 s"
    time.sleep(1.0)
    left = [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    changed = [path for path in folder.rglob("*") if path.is_file() and before.get(path) != path.stat().st_mtime_ns]
    kept = sorted(str(path.relative_to(folder)) for path in changed if path.name != "output" and path.stat().st_size)
    os.killpg(job.pid, signal.SIGKILL) if job.poll() is None else None
    for child in left:
        child.kill()
    child_words = "child not seen" if not children else "child left running" if left else "child ended"
    return f"{status}; {child_words}; wrote {', '.join(_shown(name) for name in kept) or 'nothing'}"


def _shown(name: str) -> str:
    return "its trace" if name.endswith(".trace.jsonl") else name


def show_statuses(rivals: Path, _runs: int) -> None:
    """One row a wrapper."""
    print("| wrapper | `exit 3` | `sys.exit(0)` | SIGKILL of itself | SIGTERM to the wrapper around `sleep 40` |")
    print("|---|---|---|---|---|")
    for wrapper in wrappers(rivals):
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {wrapper.name} | {' | '.join(statuses(wrapper, Path(folder)))} |", flush=True)


def show_added_seconds(rivals: Path, runs: int) -> None:
    """Seconds of ``true`` under each, in turn."""
    found = list(wrappers(rivals))
    seconds: dict[str, list[float]] = {name: [] for name in ("plain", *(wrapper.name for wrapper in found))}
    cpu_s: dict[str, list[float]] = {wrapper.name: [] for wrapper in found}
    with tempfile.TemporaryDirectory() as folder:
        true = _script(Path(folder), "true.sh", "#!/bin/sh\nexit 0\n")
        for _ in range(runs + 1):
            seconds["plain"].append(_run(Path(folder), [true])[1])
            for wrapper in found:
                begun_s = _children_cpu_s()
                seconds[wrapper.name].append(_run(Path(folder), [*wrapper.before_command, true])[1])
                cpu_s[wrapper.name].append(_children_cpu_s() - begun_s)
    plain_s = statistics.median(seconds["plain"][1:])
    print(f"| wrapper, {runs} runs in turn | added s, median | min | max | CPU s, median |\n|---|---|---|---|---|")
    for wrapper in found:
        added = [value - plain_s for value in seconds[wrapper.name][1:]]  # the first fills caches
        wall = f"{statistics.median(added):.2f} | {min(added):.2f} | {max(added):.2f}"
        print(f"| {wrapper.name} | {wall} | {statistics.median(cpu_s[wrapper.name][1:]):.2f} |")


def _children_cpu_s() -> float:
    """What a busy machine does not stretch."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


MEASURES: dict[str, Callable[[Path, int], None]] = {"statuses": show_statuses, "added": show_added_seconds}


def main() -> None:
    """Both tables, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rivals", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", choices=MEASURES)
    options = parser.parse_args()
    print(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f} at the start")
    for name in [options.only] if options.only else MEASURES:
        print(f"\n### {name}\n")
        MEASURES[name](options.rivals.absolute(), options.runs)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
