"""Open, make and remove files of a scratch folder for a dry run that may open nothing for writing itself.

Where the kernel has no Landlock, a seccomp filter denies opening for writing altogether, because a filter sees numbers
and no paths, and a read-only mount does not keep named pipes from being written to. The dry run then asks over a pair
of sockets (gsbatch_inside/sandbox/opened_outside.py) and is handed a descriptor. The one who asks is not trusted: a
path is walked folder by folder without following links, from the scratch folder on, and nothing else is reached than
``/dev/null`` and ``/dev/zero``.

A request is one JSON object in a packet: ``{"do": "open", "path", "flags", "mode"}``, ``{"do": "mkdir", "path"}``,
``{"do": "rename", "path", "to"}``, ``{"do": "unlink" | "rmdir", "path"}``. The answer is an errno in text, 0 for done,
with the descriptor of what was opened.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MOST_BYTES = 64 * 1024
_DEVICES = ("/dev/null", "/dev/zero")
_FLAGS = (
    os.O_ACCMODE | os.O_CREAT | os.O_EXCL | os.O_TRUNC | os.O_APPEND | os.O_DIRECTORY | os.O_TMPFILE | os.O_NONBLOCK
)
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class ScratchFiles:
    """Answers a dry run's requests for files of its scratch folder."""

    def __init__(self, scratch: Path) -> None:
        """Give ``theirs`` to the dry run; ``ours`` is readable when there is a request to answer."""
        self._scratch = str(scratch)
        self._top = os.open(scratch, _FOLDER)
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.setblocking(False)

    def close(self) -> None:
        """Answer nothing any more."""
        self.ours.close()
        self.theirs.close()
        os.close(self._top)

    def answer(self) -> bool:
        """Answer one request; False where nobody will make another."""
        try:
            request = self.ours.recv(_MOST_BYTES)  # without room for descriptors: those sent along are closed
            if not request:
                return False
            number, descriptors = self._done(request)
        except BlockingIOError:
            return True
        except OSError:
            return False
        try:
            socket.send_fds(self.ours, [str(number).encode()], descriptors)
        except OSError:  # it does not read its answers
            return False
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _done(self, request: bytes) -> tuple[int, list[int]]:
        try:
            return 0, self._do(json.loads(request))
        except OSError as exc:
            return exc.errno or errno.EIO, []
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return errno.EINVAL, []

    def _do(self, asked: dict[str, Any]) -> list[int]:
        what, path = asked["do"], str(asked["path"])
        if what == "open" and path in _DEVICES:
            return [os.open(path, asked["flags"] & os.O_ACCMODE | os.O_CLOEXEC)]
        with self._within(path) as (folder, name):
            if what == "open":
                flags = asked["flags"] & _FLAGS | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
                return [os.open(name, flags, asked["mode"] & 0o700, dir_fd=folder)]
            if what == "mkdir":
                os.mkdir(name, 0o700, dir_fd=folder)
            elif what == "unlink":
                os.unlink(name, dir_fd=folder)
            elif what == "rmdir":
                os.rmdir(name, dir_fd=folder)
            elif what == "rename":
                with self._within(str(asked["to"])) as (other, new_name):
                    os.rename(name, new_name, src_dir_fd=folder, dst_dir_fd=other)
            else:
                raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        return []

    @contextlib.contextmanager
    def _within(self, path: str) -> Iterator[tuple[int, str]]:
        """The folder of a path, open, and the last name; the scratch folder itself is named ``.``."""
        if path != self._scratch and not path.startswith(self._scratch + "/"):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        names = [name for name in path[len(self._scratch) :].split("/") if name]
        if any(name in {".", ".."} for name in names):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        folder = os.dup(self._top)
        try:
            for name in names[:-1]:
                below = os.open(name, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = below
            yield folder, names[-1] if names else "."
        finally:
            os.close(folder)
