"""A file of the spool folder, into which every user may write: opened so that nobody is fooled by what lies there."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import TelemetryError


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolFile:
    """A regular file of the spool folder, as its descriptor said when it was read.

    ``owner_uid`` is the kernel's word for who wrote it; everything in ``text`` is only the writer's.
    """

    path: Path
    owner_uid: int
    size_bytes: int
    modified_ns: int
    sha256: str
    text: str


def read_file(path: Path, limit: int, *, most_bytes: int | None = None) -> SpoolFile:
    """Read through one descriptor that follows no link and waits for no FIFO.

    Args:
        path: the file.
        limit: of its size in bytes.
        most_bytes: how much of it is read; all where it is None.

    Raises:
        TelemetryError: it is not a regular file, is empty, is too large, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise TelemetryError(
            "it is a symbolic link" if exc.errno == errno.ELOOP else f"it cannot be read: {exc.strerror}"
        ) from exc
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise TelemetryError("it is not a regular file")
        if not 0 < status.st_size <= limit:
            raise TelemetryError(f"it has {status.st_size} bytes; 1 to {limit} are believed")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            content = stream.read(status.st_size if most_bytes is None else most_bytes)
    except OSError as exc:
        raise TelemetryError(f"it cannot be read: {exc.strerror}") from exc
    finally:
        os.close(descriptor)
    return SpoolFile(
        path=path,
        owner_uid=status.st_uid,
        size_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
        sha256=hashlib.sha256(content).hexdigest(),
        text=content.decode("utf-8", errors="replace"),
    )


def check_owner(file: SpoolFile, owner_uid: int) -> None:
    """Refuse a file that is not the job's user's.

    Raises:
        TelemetryError: it belongs to another.
    """
    if file.owner_uid != owner_uid:
        raise TelemetryError(f"it belongs to uid {file.owner_uid}, the job to uid {owner_uid}")
