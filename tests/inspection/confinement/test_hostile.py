"""Scripts that harm, on purpose or not: stopped within their bounds, nothing touched, nothing left."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from advisor.inspection.bounds import Bounds
from advisor.inspection.confine import NAMESPACES, SYSTEM_CALLS, WAYS, way_here
from advisor.inspection.dry_run import DryRun, dry_run
from advisor.inspection.inspect import probed_facts
from advisor.units import MIB

HOSTILE = Path(__file__).parent / "hostile"
ROOT = Path(__file__).parents[3]
# A dry run has the lowest priority: on a busy machine the second that it needs may last several.
PATIENCE_S = 30.0
SHORT = Bounds(wall_s=1.0)
LONG = Bounds(wall_s=60.0)
pytestmark = pytest.mark.skipif(not way_here(), reason="this machine cannot confine a dry run")


class Home:
    """A user's folder with the script in it, and all that a dry run could leave anywhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "home"
        self.scratch = folder / "scratch"
        self.mark = f"GSBATCH_TEST_{uuid.uuid4().hex}"
        (self.folder / "folder").mkdir(parents=True)
        self.scratch.mkdir()
        (self.folder / "precious").write_text("keep", encoding="utf-8")
        (self.folder / "precious").chmod(0o640)
        self.programs = folder / "bin"
        self.programs.mkdir()
        sbatch = self.programs / "sbatch"
        sbatch.write_text(f"#!/bin/sh\ntouch {self.folder}/submitted\n", encoding="utf-8")
        sbatch.chmod(0o755)

    def dry_run(self, name: str, bounds: Bounds, ways: tuple[str, ...] = WAYS) -> DryRun:
        """Dry-run a hostile script."""
        script = Path(shutil.copy(HOSTILE / f"{name}.py", self.folder))
        interpreter = (sys.executable,)
        return dry_run(script, (), interpreter=interpreter, environment=self.environment, bounds=bounds, ways=ways)

    @property
    def environment(self) -> dict[str, str]:
        """This process's, marked, with a sbatch that leaves a trace."""
        return {**os.environ, self.mark: "1", "PATH": f"{self.programs}:{os.environ['PATH']}"}

    def state(self) -> dict[str, tuple[int, int, bytes]]:
        """Every file with its mode, time and content."""
        return {
            str(path): (
                path.lstat().st_mode,
                path.lstat().st_mtime_ns,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in self.folder.rglob("*")
            if path.suffix != ".py"
        }

    def left(self) -> list[str]:
        """Processes of its dry runs, and their folders."""
        return [*map(str, self.scratch.iterdir()), *map(repr, self.processes())]

    def processes(self) -> list[psutil.Process]:
        """All that descends from its dry runs, wherever it hides."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if self.mark in process.environ():
                    found.append(process)
        return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home of its own, whose scratch folders can be looked at."""
    made = Home(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(made.scratch))
    yield made
    for process in made.processes():
        process.kill()


@pytest.mark.parametrize(
    ("name", "bounds", "ended"),
    [
        ("allocates", Bounds(memory_bytes=512 * MIB), "MemoryError"),
        ("allocates_shared", Bounds(memory_bytes=512 * MIB), "of memory"),
        ("asks_programs", LONG, "exit ('24', '80', [b'24', b'80'], '', ([2, 1], [2, 1]))"),
        ("burns_cpu", Bounds(cpu_s=1), "CPU time"),
        ("calls_sbatch", LONG, "exit done"),
        ("closes_record", LONG, "cut off"),
        ("connects", LONG, "exit opened []"),
        ("deep_folders", LONG, "exit deep"),
        ("fills_disk", Bounds(scratch_bytes=64 * MIB), "it wrote more than"),
        ("floods_record", LONG, "it reported more than"),
        ("forks", SHORT, "time"),
        ("forks_in_c", SHORT, "time"),
        ("ignores_signals", Bounds(cpu_s=1), "killed"),
        ("listens", LONG, "exit 127.0.0.1:29500 b'x' <urlopen error [Errno 101]"),
        ("links_from_scratch", LONG, "exit refused"),
        ("loops", SHORT, "time"),
        ("makes_daemon", LONG, "exit done"),
        ("many_files", Bounds(scratch_entries=500), "it made more than 500 files"),
        ("many_threads", Bounds(threads=100), "it started more than 100 threads"),
        ("one_large_file", Bounds(file_bytes=4 * MIB), "exit File too large"),
        ("prints", LONG, "exit printed"),
        ("reads_terminal", LONG, "exit no terminal ''"),
        ("signals_others", LONG, "exit [-1, -1, -1, -1] 0"),
        ("writes_and_deletes", LONG, "exit done"),
    ],
)
def test_a_hostile_script_is_stopped_and_leaves_nothing(home: Home, name: str, bounds: Bounds, ended: str) -> None:
    """A login node is shared: whatever a script does, its user's files, processes and jobs stay as they were."""
    before = home.state()

    begun = time.monotonic()
    found = home.dry_run(name, bounds)
    took_s = time.monotonic() - begun

    assert ended in found.ended
    assert took_s < bounds.wall_s + PATIENCE_S
    assert before == home.state()
    assert [] == home.left()


@pytest.mark.parametrize("way", [NAMESPACES, SYSTEM_CALLS])
@pytest.mark.parametrize(
    ("name", "ended"),
    [
        ("calls_sbatch", "exit done"),
        ("connects", "exit opened []"),
        ("links_from_scratch", "PermissionError"),
        ("makes_daemon", "exit done"),
        ("reads_terminal", "exit no terminal ''"),
        ("signals_others", "exit [-1, -1, -1, -1] 0"),
        ("writes_and_deletes", "exit done"),
    ],
)
def test_without_landlock_a_hostile_script_leaves_nothing_either(home: Home, name: str, ended: str, way: str) -> None:
    """Older kernels confine by other means, to the same end."""
    if way_here((way,)) != way:
        pytest.skip(f"this kernel has no {way}")
    before = home.state()
    found = home.dry_run(name, LONG, (way,))

    assert ended in found.ended
    assert before == home.state()
    assert [] == home.left()


@pytest.mark.parametrize("way", WAYS)
def test_a_script_that_writes_as_programs_do_goes_on(home: Home, way: str) -> None:
    """Logs, checkpoints and temporary files are written to the scratch folder, and can be read again."""
    if way_here((way,)) != way:
        pytest.skip(f"this kernel has no {way}")
    found = home.dry_run("writes_as_usual", LONG, (way,))

    assert "exit ['log', ['c.txt'], 'more and more', ['y']]" == found.ended.partition(" at ")[0]
    assert ["folder", "precious", "writes_as_usual.py"] == sorted(path.name for path in home.folder.iterdir())


def test_no_server_is_reached(home: Home) -> None:
    """Not by TCP, which Landlock knows, nor by UDP or Unix sockets, which it does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local, socket.socket(type=socket.SOCK_DGRAM) as server:
        local.bind(str(home.folder / "socket"))
        server.bind(("127.0.0.1", 0))
        script = home.folder / "sends.py"
        script.write_text(
            "import socket, sys\n"
            f"for family, to in ((2, {server.getsockname()!r}), (1, {local.getsockname()!r})):\n"
            "    try:\n"
            "        socket.socket(family, socket.SOCK_DGRAM).sendto(b'x', to)\n"
            "    except OSError:\n"
            "        pass\n",
            encoding="utf-8",
        )
        dry_run(script, (), interpreter=(sys.executable,), environment=home.environment)
        for receiver in (local, server):
            receiver.setblocking(False)
            with pytest.raises(BlockingIOError):
                receiver.recv(1)


def test_facts_of_another_kind_are_none(home: Home) -> None:
    """A script can write to what the dry run is heard on; what it writes must not stop a submission."""
    facts, _notes = probed_facts(home.dry_run("unsafe_facts", LONG))

    assert {} == facts


def test_programs_that_were_not_started_are_named_only_where_no_training_was_met(home: Home) -> None:
    """Commits are looked up by many scripts, and it seldom is why one ends."""
    program = "import subprocess\nsubprocess.run(['git', '--help'])\n"
    says = json.dumps({"phase": 1, "facts": {"epochs": 3}}) + "\n"
    trains = (
        "import os, stat\n"
        "pipe = next(n for n in range(3, 64)\n"
        "            if os.path.exists(f'/dev/fd/{n}') and stat.S_ISFIFO(os.fstat(n).st_mode))\n"
        f"os.write(pipe, {says!r}.encode())\n"
    )
    notes = []
    for source in (program, program + trains):
        script = home.folder / "starts.py"
        script.write_text(source, encoding="utf-8")
        notes.append(dry_run(script, (), interpreter=(sys.executable,), environment=home.environment).notes)

    assert [("programs that it would have started and a dry run does not: git --help",), ()] == notes


def test_what_it_does_is_told_while_it_runs(home: Home) -> None:
    """The line of the user's own code, whatever that calls; and nothing is left on the terminal."""
    script = home.folder / "waits.py"
    script.write_text("import json\ndef wait():\n    while True: json.dumps([0] * 1000)\nwait()\n", encoding="utf-8")
    told: list[str] = []
    bounds = Bounds(wall_s=4.0)
    dry_run(script, (), interpreter=(sys.executable,), environment=home.environment, bounds=bounds, watch=told.append)

    assert "" == told[-1]
    assert "s: waits.py:3 while True: json.dumps([0] * 1000)" in told[-2]


def test_arguments_may_be_longer_than_a_word(home: Home) -> None:
    """The kernel takes no single word of 128 KiB; a list of arguments may be longer."""
    script = home.folder / "counts.py"
    script.write_text("import sys\nsys.exit(sum(map(len, sys.argv[1:])))\n", encoding="utf-8")
    found = dry_run(
        script, ("x" * 100_000,) * 5, interpreter=(sys.executable,), environment=home.environment, bounds=LONG
    )

    assert "exit 500000" == found.ended.partition(" at ")[0]


DRIVER = """
import os, sys
from pathlib import Path
from advisor.inspection.dry_run import dry_run
print(dry_run(Path(sys.argv[1]), (), interpreter=(sys.executable,), environment=dict(os.environ)).ended)
"""


@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "interrupted\n"), (signal.SIGKILL, "")])
def test_what_ends_gsbatch_ends_the_dry_run(home: Home, number: int, said: str) -> None:
    """Ctrl-C ends the dry run and no more; where gsbatch itself is killed, the kernel ends the dry run."""
    script = Path(shutil.copy(HOSTILE / "loops.py", home.folder))
    environment = {**home.environment, "TMPDIR": str(home.scratch), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, script], env=environment, stdout=subprocess.PIPE, text=True
    ) as driver:
        _wait_until(lambda: any(map(_is_under_way, home.processes())))
        driver.send_signal(number)
        heard, _nothing = driver.communicate(timeout=PATIENCE_S)
    _wait_until(lambda: not home.processes())

    assert said == heard


# As an older kernel would: some system calls are none.
WITHOUT = """
import ctypes, os, struct, sys
from pathlib import Path
from advisor.inspection.dry_run import dry_run
steps = [(0x20, 0, 0, 0)]
for number in map(int, sys.argv[2:]):
    steps += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050026)]
steps += [(0x06, 0, 0, 0x7FFF0000)]
program = b"".join(struct.pack("=HBBI", *step) for step in steps)
buffer = ctypes.create_string_buffer(program, len(program))
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
libc.prctl(22, 2, ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(buffer))))
for unconfined in (False, True):
    found = dry_run(
        Path(sys.argv[1]), (), interpreter=(sys.executable,), environment=dict(os.environ), unconfined=unconfined
    )
    print(found.ended.partition(" at ")[0])
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="its numbers of system calls")
@pytest.mark.parametrize(
    ("numbers", "ended"),
    [
        ((444,), "exit ran\nexit ran\n"),  # no Landlock
        ((444, 272), "exit ran\nexit ran\n"),  # nor namespaces
        ((444, 272, 317), "unconfined\nexit ran\n"),  # nor filters
    ],
    ids=["no landlock", "no namespaces", "no filter"],
)
def test_a_kernel_that_can_confine_nothing_runs_nothing_unasked(
    home: Home, numbers: tuple[int, ...], ended: str
) -> None:
    """Each way stands in for a better one that is missing; where there is none, only who asks has a dry run."""
    script = home.folder / "script.py"
    script.write_text("import os, sys\nos.mkdir('made')\nsys.exit('ran')\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, script, *map(str, numbers)],
        env={**home.environment, "TMPDIR": str(home.scratch), "PYTHONPATH": str(ROOT)},
        cwd=home.folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended == done.stdout
    assert not (home.folder / "made").exists()


def _is_under_way(process: psutil.Process) -> bool:
    """Whether this is the script's interpreter, and no more what starts it."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return "advisor.inspection.confine" not in words and any(word.endswith("gsbatch_inside/dry_run") for word in words)


def _wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)
