"""A process, files and a terminal of the user that a dry run has nothing to do with, and the state of all of it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

# It counts the signals that reach it, and says so when it is asked by a line.
VICTIM = """
import signal, sys
count = [0]
def heard(number, frame):
    count[0] += 1
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, heard)
print("ready", flush=True)
while True:
    try:
        line = sys.stdin.readline()
    except InterruptedError:
        continue
    if not line:
        break
    print(count[0], flush=True)
"""


class Victim:
    """A sibling of a dry run, with a folder of files and a terminal."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], terminal: tuple[int, str]) -> None:
        self.folder, self._process = folder, process
        self._master, self.terminal = terminal
        self._pipe = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    @property
    def targets(self) -> str:
        """For the command line of attempts.py."""
        return json.dumps({"pid": self._process.pid, "folder": str(self.folder), "terminal": self.terminal})

    def state(self) -> dict[str, Any]:
        """All that a script could have changed."""
        process = psutil.Process(self._process.pid)
        pipe = self._read(self._pipe)
        return {
            "signals": self._signals(),
            "limit of open files": process.rlimit(psutil.RLIMIT_NOFILE),
            "nice": process.nice(),
            "cores": process.cpu_affinity(),
            "scheduler": os.sched_getscheduler(self._process.pid),
            "disk priority": process.ionice(),
            "oom_score_adj": Path(f"/proc/{self._process.pid}/oom_score_adj").read_text(encoding="ascii"),
            "named pipe": pipe,
            "terminal": (termios.tcgetattr(self._master), os.get_terminal_size(self._master), self._read(self._master)),
            "lock": self._is_locked(),
            "files": {str(path): _file_state(path) for path in sorted(self.folder.rglob("*"))},
            "shared memory": Path(f"/dev/shm/{self.folder.name}").exists(),  # noqa: S108 (only looked at)
            "queue": self._has_queue(),
            "System V": [_lines(name) for name in ("shm", "msg", "sem")],
            "host": os.uname().nodename,
        }

    def _signals(self) -> str:
        if self._process.stdin is None or self._process.stdout is None:
            return ""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def _is_locked(self) -> bool:
        with (self.folder / "precious").open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    def _has_queue(self) -> bool:
        return Path(f"/dev/mqueue/gsbatch-{self._process.pid}").exists()

    @staticmethod
    def _read(descriptor: int) -> bytes:
        os.set_blocking(descriptor, False)
        try:
            return os.read(descriptor, 64)
        except OSError:
            return b""


def _lines(name: str) -> int:
    with contextlib.suppress(OSError):
        return len(Path(f"/proc/sysvipc/{name}").read_text(encoding="ascii").splitlines())
    return 0


def _file_state(path: Path) -> tuple[Any, ...]:
    status = path.lstat()
    attributes = os.listxattr(path, follow_symlinks=False)
    content = path.read_bytes() if path.is_file() else b""
    return (status.st_mode, status.st_uid, status.st_mtime_ns, status.st_nlink, attributes, content)


@contextlib.contextmanager
def victim(folder: Path) -> Iterator[Victim]:
    """Start one; it ends afterwards."""
    folder.mkdir()
    for name in ("precious", "removed", "renamed"):
        (folder / name).write_text("keep", encoding="ascii")
    (folder / "empty").mkdir()
    os.mkfifo(folder / "pipe")
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is not None:
            process.stdout.readline()
        yield Victim(folder, process, (master, os.ttyname(slave)))
        process.kill()
    os.close(master)
    os.close(slave)
