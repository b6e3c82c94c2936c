"""Call a function that reads what a user wrote in a child process of its own, within memory and time.

Some text takes no time to write and all memory, all time or the whole process to read: YAML that is nested 40,000 deep
ends libyaml with SIGSEGV, a format string can ask for gigabytes, and a power for days inside one operation that no
signal interrupts. Nothing but another process holds against all of them.
"""

from __future__ import annotations

import os
import pickle
import resource
import select
import signal
import time
from collections.abc import Callable
from typing import TypeVar

from advisor.units import GIB

Result = TypeVar("Result")

_WALL_S = 10.0
_MEMORY_BYTES = 1 * GIB
_MOST_ANSWER_BYTES = 16 * 1024**2
_PIECE_BYTES = 65536


class OutOfBounds(Exception):
    """The function was ended, or ended its process."""


def bounded_call(
    function: Callable[[], Result], *, wall_s: float = _WALL_S, memory_bytes: int = _MEMORY_BYTES
) -> Result:
    """Call a function in a forked child and hand on what it returns or raises; this process must have no threads.

    Args:
        function: what it returns must be possible to pickle; what it prints is lost.
        wall_s: after this the child is ended.
        memory_bytes: what it may add to this process's private memory.

    Raises:
        OutOfBounds: the child took too much, or crashed.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(function, writing, memory_bytes)
    os.close(writing)
    try:
        data = _heard(reading, time.monotonic() + wall_s)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not data:
        raise OutOfBounds
    is_result, value = pickle.loads(data)  # noqa: S301 (from a fork of this process that ran none of the user's code)
    if is_result:
        result: Result = value
        return result
    raise value


def _answer(function: Callable[[], object], writing: int, memory_bytes: int) -> None:
    """In the child: call, answer, end; nothing of this process's own clean-up runs twice."""
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _limit_memory(memory_bytes)
        try:
            answer: tuple[bool, object] = (True, function())
        except (MemoryError, RecursionError):
            return
        except Exception as exc:  # noqa: BLE001 (handed on to the caller)
            answer = (False, exc)
        data = pickle.dumps(answer)
        while data:
            data = data[os.write(writing, data) :]
    except BaseException:  # noqa: BLE001 (no answer says that it did not work)
        return
    finally:
        os._exit(0)


def _limit_memory(memory_bytes: int) -> None:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (this process may be out of memory soon)
        held_bytes = int(file.read().split()[5]) * resource.getpagesize()
    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = held_bytes + memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _heard(reading: int, until: float) -> bytes:
    """All that the child says; nothing where it takes too long or says too much."""
    pieces = bytearray()
    while len(pieces) <= _MOST_ANSWER_BYTES:
        ready, _, _ = select.select([reading], [], [], max(until - time.monotonic(), 0.0))
        if not ready:
            return b""
        piece = os.read(reading, _PIECE_BYTES)
        if not piece:
            return bytes(pieces)
        pieces += piece
    return b""
