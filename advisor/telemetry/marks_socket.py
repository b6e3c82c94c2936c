"""The socket on which whatever runs in the job speaks to the sampler: marks of epochs, and tasks that come and go."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from dataclasses import dataclass, replace
from pathlib import Path

from advisor.telemetry.epochs import MAX_MARK_BYTES, Mark, read_mark
from advisor.telemetry.steady_clock import SteadyClock

_CREDENTIALS = struct.Struct("3i")
_DESCRIPTOR = struct.Struct("i")
_ROOM = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_DESCRIPTOR.size)
_TASK_WORDS = frozenset({"task_begin", "task_end"})


@dataclass(frozen=True, slots=True)
class TaskWord:
    """``task_begin`` or ``task_end`` of a process of this user, who may wait until ``answer`` is closed."""

    kind: str
    pid: int
    answer: int | None

    def heed(self) -> None:
        """Let a task go that waits until its word has been taken."""
        if self.answer is not None:
            os.close(self.answer)


class MarksSocket:
    """The sampler's end, of a socket with SO_PASSCRED: the kernel says who writes. Never blocks."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)
        self._clock = SteadyClock()

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def receive(self) -> tuple[list[Mark], list[TaskWord]]:
        """All that has come; what is neither a mark nor a task's word is dropped."""
        marks: list[Mark] = []
        words: list[TaskWord] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                message, attached, _flags, _sender = self._socket.recvmsg(MAX_MARK_BYTES, _ROOM)
                pid, answer = _attached(attached)
                mark = read_mark(message)
                kind = None if mark is not None else _task_word(message)
                if mark is not None:
                    time_s = self._clock.wall_s(mark.monotonic_s, mark.time_s)
                    marks.append(replace(mark, answer=answer, time_s=time_s, sender=pid))
                elif kind is not None and pid is not None:
                    words.append(TaskWord(kind, pid, answer))
                elif answer is not None:
                    os.close(answer)
        return marks, words

    def remove(self) -> None:
        """Do what the recorder can no longer do: it made the socket in a folder of its own."""
        path = self._socket.getsockname()
        if isinstance(path, str) and path:
            with contextlib.suppress(OSError):
                Path(path).unlink()
                Path(path).parent.rmdir()


def answer(mark: Mark, *, stop: bool, signal: str | None = None) -> None:
    """Tell the hook whether to stop, if it waits to hear; it may be gone, and its pipe is never waited for.

    ``signal`` is the name of the signal that a training without a framework's own way to stop is sent.
    """
    if mark.answer is None:
        return
    with contextlib.suppress(OSError):
        os.set_blocking(mark.answer, False)
        if stop:
            os.write(mark.answer, f"stop {signal or ''}\n".encode())
    os.close(mark.answer)


def _task_word(message: bytes) -> str | None:
    try:
        kind = json.loads(message).get("kind")
    except (ValueError, AttributeError, RecursionError):
        return None
    return kind if isinstance(kind, str) and kind in _TASK_WORDS else None


def _attached(items: list[tuple[int, int, bytes]]) -> tuple[int | None, int | None]:
    """The sender's process, if it is this user's, and the descriptor it sent along."""
    pid = answer = None
    for level, kind, data in items:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            sender, uid, _gid = _CREDENTIALS.unpack(data[: _CREDENTIALS.size])
            pid = sender if uid == os.getuid() and sender > 0 else None
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS) and len(data) >= _DESCRIPTOR.size:
            (answer,) = _DESCRIPTOR.unpack(data[: _DESCRIPTOR.size])
    return pid, answer
