"""A file in a folder that other users may write to: a link is not followed, a FIFO not waited for, a giant not read.

The folder's last part may be no link either, so that what a folder was listed as is what is read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import TelemetryError

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """What the kernel says of a regular file that was read; ``sha256`` is of what was read.

    ``owner_uid`` is the one thing about who wrote it that is certain.
    """

    path: Path
    owner_uid: int
    size_bytes: int
    modified_ns: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """A small file read whole; everything in ``text`` is only the writer's word."""

    state: FileState
    text: str


class OpenFile:
    """An open regular file, read once, piece by piece, as long as it was when it was opened: it may grow meanwhile."""

    def __init__(self, path: Path, descriptor: int, status: os.stat_result) -> None:
        self.path = path
        self.owner_uid = status.st_uid
        self._descriptor = descriptor
        self._status = status
        self._hash = hashlib.sha256()

    def pieces(self) -> Iterator[bytes]:
        """The content in pieces of at most 256 KiB.

        Raises:
            TelemetryError: it cannot be read on.
        """
        left = self._status.st_size
        while left > 0:
            try:
                piece = os.read(self._descriptor, min(left, _PIECE_BYTES))
            except OSError as exc:
                raise TelemetryError(f"it cannot be read: {exc.strerror}") from exc
            if not piece:
                return
            self._hash.update(piece)
            left -= len(piece)
            yield piece

    def state(self) -> FileState:
        """What was read, after the last piece."""
        return FileState(
            path=self.path,
            owner_uid=self.owner_uid,
            size_bytes=self._status.st_size,
            modified_ns=self._status.st_mtime_ns,
            sha256=self._hash.hexdigest(),
        )


@contextmanager
def opened_file(path: Path, limit: int) -> Iterator[OpenFile]:
    """Open a file through its folder; neither may be a link.

    Args:
        path: the file.
        limit: of its size in bytes.

    Raises:
        TelemetryError: it is not a regular file, is empty, is too large, or cannot be opened.
    """
    try:
        folder = os.open(path.parent, _FOLDER)
        try:
            descriptor = os.open(path.name, _READ, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as exc:
        is_link = exc.errno == errno.ELOOP
        raise TelemetryError("it is a symbolic link" if is_link else f"it cannot be read: {exc.strerror}") from exc
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise TelemetryError("it is not a regular file")
        if not 0 < status.st_size <= limit:
            raise TelemetryError(f"it has {status.st_size} bytes; 1 to {limit} are believed")
        yield OpenFile(path, descriptor, status)
    finally:
        os.close(descriptor)


def read_file(path: Path, limit: int) -> TextFile:
    """Read a small file whole.

    Raises:
        TelemetryError: as for ``opened_file``.
    """
    with opened_file(path, limit) as file:
        content = b"".join(file.pieces())
        return TextFile(state=file.state(), text=content.decode("utf-8", errors="replace"))


def check_owner(owner_uid: int, expected_uid: int) -> None:
    """Refuse a file that is not the job's user's.

    Raises:
        TelemetryError: it belongs to another.
    """
    if owner_uid != expected_uid:
        raise TelemetryError(f"it belongs to uid {owner_uid}, the job to uid {expected_uid}")
