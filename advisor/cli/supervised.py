"""Two processes for a submission: one advises and submits, its parent sees to it that the job is submitted.

Whatever a user wrote is read in the child: text that ends Python, takes all memory or takes for ever ends the child.
The parent reads nothing. Where the child ends by a signal, fails or takes too long before it has called sbatch, another
is forked that only writes the plainest batch script, and where that fails too the parent becomes sbatch. Once sbatch
has been called the child's end is gsbatch's.

Standard library only: this must work where the rest of an installation is broken.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

# A framework's reading of a large model takes some hundred MiB; the dry run has bounds of its own.
_MEMORY_BYTES = 3 * 1024**3
# Until the settings have been read, which say how long advice may take: loading gsbatch from a slow disk is part of it.
_READING_S = 90.0
# Beyond the time that advice may take, to write the batch script.
_WRITING_S = 30.0
_MOST_STDIN_BYTES = 64 * 1024**2
_PIECE_BYTES = 1024**2
_PR_SET_PDEATHSIG = 1
_BEGUN, _FAILED, _LIMIT = "b", "f", "l"
_MOST_LETTERS = 500
_LOOK_EVERY_S = 1.0
_HEARD_BY_PARENT = (signal.SIGINT, signal.SIGCHLD)


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
        self._say(_LIMIT, str(int(limit_s) + 1))

    def submitting(self) -> None:
        """From now on nothing is tried again. sbatch hands limits on to the job, so they are the user's own again."""
        for limit, values in self._limits:
            resource.setrlimit(limit, values)
        if not self.has_begun:
            self._say(_BEGUN, "")
        self.has_begun = True

    def failed(self, why: str) -> NoReturn:
        """Nothing has been submitted, and that was no mistake of the user's."""
        self._say(_FAILED, why)
        os._exit(1)

    def _say(self, what: str, text: str) -> None:
        one_line = text.replace("\n", " ")[:_MOST_LETTERS]
        os.write(self._writing, f"{what}{one_line}\n".encode("utf-8", "backslashreplace"))


@dataclass(frozen=True, slots=True)
class _Forked:
    """A child as its parent sees it; ``mask`` are the signals that were blocked before."""

    pid: int
    reading: int
    mask: set[int]


def supervised(tell: Callable[[str], None], *, reads_stdin: bool) -> Child | None:
    """Fork; in a child, what it is; in the parent None, where no child could submit anything.

    The parent exits with its child's status where the child came to an end.

    Args:
        tell: is told in the parent why a child was given up.
        reads_stdin: whether the script comes on standard input: every child finds it there whole.
    """
    if reads_stdin:
        _keep_stdin()
    told = ""
    for is_plain in (False, True):
        if reads_stdin:
            os.lseek(0, 0, os.SEEK_SET)
        try:
            forked = _forked(is_plain=is_plain)
        except OSError as exc:  # the user has as many processes as they may
            tell(f"submitted without advice or record: no process can be started: {exc.strerror}")
            return None
        if isinstance(forked, Child):
            return forked
        why = _waited(forked)
        if why != told:
            tell(f"submitted without advice or record: {why}")
        told = why
    if reads_stdin:
        os.lseek(0, 0, os.SEEK_SET)
    return None


def _forked(*, is_plain: bool) -> Child | _Forked:
    """Fork; what the child is in the child, and what to wait for in the parent."""
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    parent, mask = os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD_BY_PARENT)
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise
    if pid:
        os.close(writing)
        os.set_blocking(reading, False)
        return _Forked(pid, reading, set(map(int, mask)))
    os.close(reading)
    with contextlib.suppress(ImportError):  # a Python may lack it
        import ctypes  # noqa: PLC0415

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    limits = tuple((limit, resource.getrlimit(limit)) for limit in (resource.RLIMIT_DATA, resource.RLIMIT_CORE))
    _lower_soft(resource.RLIMIT_DATA, _MEMORY_BYTES)
    _lower_soft(resource.RLIMIT_CORE, 0)
    return Child(is_plain, writing, limits)


def _lower_soft(limit: int, value: int) -> None:
    soft, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (value if soft == resource.RLIM_INFINITY else min(soft, value), hard))


def _waited(child: _Forked) -> str:
    """Wait for a child, and exit as it did; return why, where it has to be done without."""
    heard = _Heard(child.reading)
    status = None
    while status is None and not heard.why:
        begun = time.monotonic()
        signalled = signal.sigtimedwait(_HEARD_BY_PARENT, _LOOK_EVERY_S)
        if signalled is not None and signalled.si_signo == signal.SIGINT and signalled.si_code <= 0:
            os.kill(child.pid, signal.SIGINT)  # sent to this process alone: Ctrl-C reaches the child by itself
        ended, code = os.waitpid(child.pid, os.WNOHANG)
        status = code if ended else None
        heard.listen(min(time.monotonic() - begun, _LOOK_EVERY_S))  # not while both were stopped (Ctrl-Z)
    if status is None:
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
    os.close(child.reading)
    signal.pthread_sigmask(signal.SIG_SETMASK, child.mask)
    if heard.why:
        return heard.why
    code = os.waitstatus_to_exitcode(status or 0)
    if code < 0 and not heard.has_begun:
        return f"advice crashed ({signal.Signals(-code).name})"
    sys.exit(code if code >= 0 else 128 - code)


class _Heard:
    """What a child has said: whether it has begun to submit, and why it is given up, "" if it is not."""

    def __init__(self, reading: int) -> None:
        self._reading, self._text = reading, b""
        self._left_s = _READING_S
        self.has_begun, self.why = False, ""

    def listen(self, passed_s: float) -> None:
        """Read what there is, and count the time that passed since the last call."""
        self._left_s -= passed_s
        with contextlib.suppress(BlockingIOError):
            self._text += os.read(self._reading, 65536)
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            what, text = chr(line[0]), line[1:].decode("utf-8", "replace")
            if what == _BEGUN:
                self.has_begun = True
            elif what == _FAILED:
                self.why = text
            else:
                self._left_s = float(text) + _WRITING_S
        if self._left_s <= 0 and not self.has_begun:
            self.why = "advice took too long"


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
