"""Files of the spool folder, into which every user may write: opened so that nobody is fooled by what lies there."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import TelemetryError
from advisor.submission.ticket import TICKET_SUFFIX
from advisor.telemetry.trace import TRACE_SUFFIX
from advisor.units import MIB

# A week of eight GPUs sampled every second is some 500 MB of JSON Lines.
MAX_TRACE_BYTES = 1024 * MIB
MAX_TICKET_BYTES = 4 * MIB


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolEntry:
    """A name in the spool folder and what lies behind it now, before anything was opened."""

    path: Path
    size_bytes: int
    modified_ns: int
    owner_uid: int


def trace_entries(folder: Path) -> Iterator[SpoolEntry]:
    """All traces in a spool folder, by name.

    Raises:
        TelemetryError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry for entry in entries if entry.name.endswith(TRACE_SUFFIX)), key=lambda e: e.name)
    except OSError as exc:
        raise TelemetryError(
            f"The spool folder {folder} cannot be read: {exc.strerror}.",
            hint="Make it with: gsadmin init, or name another with --spool.",
        ) from exc
    for entry in found:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield SpoolEntry(
            path=Path(entry.path),
            size_bytes=status.st_size,
            modified_ns=status.st_mtime_ns,
            owner_uid=status.st_uid,
        )


def read_spool_file(path: Path) -> SpoolFile:
    """Read a trace or ticket through one descriptor that follows no link and waits for no FIFO.

    A trace that grows while it is read is taken as long as it was when it was opened.

    Raises:
        TelemetryError: it is not a regular file, is empty, is too large, or cannot be read.
    """
    limit = MAX_TICKET_BYTES if path.name.endswith(TICKET_SUFFIX) else MAX_TRACE_BYTES
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        what = "it is a symbolic link" if exc.errno == errno.ELOOP else str(exc.strerror)
        raise TelemetryError(f"{path.name} cannot be read: {what}.") from exc
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise TelemetryError(f"{path.name} is not a regular file.")
        if not 0 < status.st_size <= limit:
            raise TelemetryError(f"{path.name} has {status.st_size} bytes; 1 to {limit} are believed.")
        try:
            content = stream.read(status.st_size)
        except OSError as exc:
            raise TelemetryError(f"{path.name} cannot be read: {exc.strerror}.") from exc
    return SpoolFile(
        path=path,
        owner_uid=status.st_uid,
        size_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
        sha256=hashlib.sha256(content).hexdigest(),
        text=content.decode("utf-8", errors="replace"),
    )
