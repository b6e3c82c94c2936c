"""Files of the spool folder, into which every user may write: opened so that nobody is fooled by what lies there."""

from __future__ import annotations

import contextlib
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

# Eight GPUs sampled every second for ten days; ten times as much memory is needed to read it.
MAX_TRACE_BYTES = 512 * MIB
MAX_TICKET_BYTES = 4 * MIB
# A header with 64 GPUs and a command line of 128 KiB.
MAX_HEADER_BYTES = MIB


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
    """All traces in a spool folder and in the folders right below it (one for each user), by name.

    Raises:
        TelemetryError: the folder cannot be read; one below it that cannot be read is passed over.
    """
    try:
        yield from _entries(folder)
        below = sorted(
            entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False) and _is_text(entry.name)
        )
    except OSError as exc:
        raise TelemetryError(
            f"The spool folder {folder} cannot be read: {exc.strerror}.",
            hint="Make it with: gsadmin init, or name another with --spool.",
        ) from exc
    for path in below:
        with contextlib.suppress(OSError):
            yield from _entries(Path(path))


def _entries(folder: Path) -> list[SpoolEntry]:
    found = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if not entry.name.endswith(TRACE_SUFFIX) or not _is_text(entry.name):
            continue
        with contextlib.suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            found.append(
                SpoolEntry(
                    path=Path(entry.path),
                    size_bytes=status.st_size,
                    modified_ns=status.st_mtime_ns,
                    owner_uid=status.st_uid,
                )
            )
    return found


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8: the recorder writes no other, and no database stores one."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_spool_file(path: Path) -> SpoolFile:
    """Read a trace or ticket whole, as long as it was when it was opened: a trace may grow meanwhile.

    Raises:
        TelemetryError: it is not a regular file, is empty, is too large, or cannot be read.
    """
    return _read(path, MAX_TICKET_BYTES if path.name.endswith(TICKET_SUFFIX) else MAX_TRACE_BYTES, most_bytes=None)


def read_first_line(path: Path) -> str:
    """The first line of a trace, which is its header; the same is refused as by ``read_spool_file``.

    Raises:
        TelemetryError: as for ``read_spool_file``, or the line is not a header's length.
    """
    line, newline, _ = _read(path, MAX_TRACE_BYTES, most_bytes=MAX_HEADER_BYTES).text.partition("\n")
    if not newline:
        raise TelemetryError("its first line is not a header")
    return line + newline


def _read(path: Path, limit: int, *, most_bytes: int | None) -> SpoolFile:
    """Read through one descriptor that follows no link and waits for no FIFO."""
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
