"""What lies in the spool folder, into which every user may write, and how much of it is read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import TelemetryError
from advisor.storage.untrusted_file import SpoolFile, read_file
from advisor.submission.ticket import MAX_TICKET_BYTES, TICKET_SUFFIX
from advisor.telemetry.trace import TRACE_SUFFIX
from advisor.units import MIB

# Eight GPUs sampled every second for ten days; ten times as much memory is needed to read it.
MAX_TRACE_BYTES = 512 * MIB
# A header with 64 GPUs and a command line of 128 KiB.
MAX_HEADER_BYTES = MIB


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
    return read_file(path, MAX_TICKET_BYTES if path.name.endswith(TICKET_SUFFIX) else MAX_TRACE_BYTES)


def read_first_line(path: Path) -> str:
    """The first line of a trace, which is its header; the same is refused as by ``read_spool_file``.

    Raises:
        TelemetryError: as for ``read_spool_file``, or the line is not a header's length.
    """
    line, newline, _ = read_file(path, MAX_TRACE_BYTES, most_bytes=MAX_HEADER_BYTES).text.partition("\n")
    if not newline:
        raise TelemetryError("its first line is not a header")
    return line + newline
