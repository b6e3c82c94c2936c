"""Two processes for a submission: one advises and submits, its parent sees to it that the job is submitted.

Whatever a user wrote is read in the child: text that ends Python, takes all memory or takes for ever ends the child.
The parent reads nothing. Where the child ends by a signal, fails or takes too long before it has called sbatch, another
is forked that only writes the plainest batch script, and where that fails too the parent becomes sbatch. Once sbatch
has been called the child's end is gsbatch's.

Standard library only: this must work where the rest of an installation is broken.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

# A framework's reading of a large model takes some hundred MiB; the dry run has bounds of its own.
_MEMORY_BYTES = 3 * 1024**3
# Until the settings have been read, which say how long advice may take.
_READING_S = 30.0
# Beyond the time that advice may take, to write the batch script.
_WRITING_S = 30.0
_MOST_STDIN_BYTES = 64 * 1024**2
_PIECE_BYTES = 1024**2
_PR_SET_PDEATHSIG = 1
_BEGUN, _FAILED, _LIMIT = b"b", b"f", b"l"


@dataclass(slots=True)
class Child:
    """What the child tells its parent.

    ``is_plain`` is whether it is to do without advice, ``has_begun`` whether it has called sbatch.
    """

    is_plain: bool
    _writing: int
    _limits: tuple[tuple[int, tuple[int, int]], ...]
    has_begun: bool = False

    def advice_may_take(self, limit_s: float) -> None:
        """The settings have been read."""
        os.write(self._writing, _LIMIT + str(int(limit_s) + 1).encode() + b"\n")

    def submitting(self) -> None:
        """From now on nothing is tried again. sbatch hands limits on to the job, so they are the user's own again."""
        for limit, values in self._limits:
            resource.setrlimit(limit, values)
        self.has_begun = True
        os.write(self._writing, _BEGUN + b"\n")

    def failed(self) -> NoReturn:
        """Nothing has been submitted, and that was no mistake of the user's."""
        os.write(self._writing, _FAILED + b"\n")
        os._exit(1)


def supervised(tell: Callable[[str], None], *, reads_stdin: bool) -> Child | None:
    """Fork; in a child, what it is; in the parent None, where no child could submit anything.

    The parent exits with its child's status where the child came to an end.

    Args:
        tell: is told in the parent why a child was given up.
        reads_stdin: whether the script comes on standard input: every child finds it there whole.
    """
    if reads_stdin:
        _keep_stdin()
    for is_plain in (False, True):
        if reads_stdin:
            os.lseek(0, 0, os.SEEK_SET)
        forked = _forked(is_plain=is_plain)
        if isinstance(forked, Child):
            return forked
        why = _waited(forked)
        tell(f"submitted without advice or record: {why}" if not is_plain else f"submitted as it is: {why}")
    if reads_stdin:
        os.lseek(0, 0, os.SEEK_SET)
    return None


@dataclass(frozen=True, slots=True)
class _Forked:
    pid: int
    reading: int
    on_interrupt: Any


def _forked(*, is_plain: bool) -> Child | _Forked:
    """Fork; what the child is in the child, and what to wait for in the parent."""
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    on_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the child, which decides
    parent, pid = os.getpid(), os.fork()
    if pid:
        os.close(writing)
        return _Forked(pid, reading, on_interrupt)
    signal.signal(signal.SIGINT, on_interrupt)
    os.close(reading)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    limits = tuple((limit, resource.getrlimit(limit)) for limit in (resource.RLIMIT_DATA, resource.RLIMIT_CORE))
    _lower_soft(resource.RLIMIT_DATA, _MEMORY_BYTES)
    _lower_soft(resource.RLIMIT_CORE, 0)
    return Child(is_plain, writing, limits)


def _lower_soft(limit: int, value: int) -> None:
    soft, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (value if soft == resource.RLIM_INFINITY else min(soft, value), hard))


def _waited(child: _Forked) -> str:
    """Wait for a child, and exit as it did; return why, where it has to be done without."""
    begun, why = _heard(child.reading)
    os.close(child.reading)
    if why:
        os.kill(child.pid, signal.SIGKILL)
    _, status = os.waitpid(child.pid, 0)
    signal.signal(signal.SIGINT, child.on_interrupt)
    code = os.waitstatus_to_exitcode(status)
    if why:
        return why
    if code >= 0:
        sys.exit(code)
    if begun:
        sys.exit(128 - code)
    return f"advice crashed ({signal.Signals(-code).name})"


def _heard(reading: int) -> tuple[bool, str]:
    """Listen until the child ends, or has begun to submit; whether it has, and why it is given up, "" if it is not."""
    left_s, text = _READING_S, b""
    while left_s > 0:
        begun = time.monotonic()
        ready, _, _ = select.select([reading], [], [], min(left_s, 1.0))
        left_s -= min(time.monotonic() - begun, 1.0)  # not the time for which both were stopped (Ctrl-Z)
        if not ready:
            continue
        piece = os.read(reading, 4096)
        text += piece
        *lines, text = text.split(b"\n")
        for line in lines:
            if line == _BEGUN:
                return True, ""
            if line == _FAILED:
                return False, "advice failed"
            left_s = float(line[1:]) + _WRITING_S
        if not piece:
            return False, ""
    return False, "advice took too long"


def _keep_stdin() -> None:
    """Put all of standard input where it can be read more than once."""
    kept = os.memfd_create("script")
    size = 0
    while piece := os.read(0, _PIECE_BYTES):
        size += len(piece)
        if size > _MOST_STDIN_BYTES:
            sys.exit(f"gsbatch: the script on standard input is larger than {_MOST_STDIN_BYTES // 1024**2} MiB")
        os.write(kept, piece)
    os.dup2(kept, 0)
