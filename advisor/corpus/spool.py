"""What lies in the spool folder, into which every user may write, and how much of it is read."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from advisor.errors import TelemetryError
from advisor.storage.untrusted_file import OpenFile, TextFile, opened_file, read_file
from advisor.submission.ticket import MAX_TICKET_BYTES, TICKET_SUFFIX
from advisor.telemetry.digest import header_of_line, lines_of
from advisor.telemetry.trace import TRACE_SUFFIX, TraceHeader
from advisor.units import MIB

# Eight GPUs sampled every second for ten days.
MAX_TRACE_BYTES = 512 * MIB
# A year of a job every ten minutes; of one user's files beyond that none is looked at.
MAX_FILES_PER_USER = 50_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolEntry:
    """A name in the spool folder and what lies behind it now, before anything was opened."""

    path: Path
    inode: int
    size_bytes: int
    modified_ns: int
    owner_uid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All traces of a spool folder, by name; ``passed_over`` counts those beyond a user's share, by uid."""

    folder: Path
    entries: tuple[SpoolEntry, ...]
    passed_over: Counter[int] = field(default_factory=Counter)


def list_spool(folder: Path) -> Listing:
    """All traces in a spool folder and in the folders right below it (one for each user), by name.

    Raises:
        TelemetryError: the folder cannot be read; one below it that cannot be read is passed over.
    """
    place = folder.resolve()  # an admin may have linked it elsewhere; users' links below it are not followed
    found: list[SpoolEntry] = []
    counts: Counter[int] = Counter()
    try:
        top = os.open(place, _FOLDER)
        try:
            found += _entries(top, place, counts)
            with os.scandir(top) as entries:
                below = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and _is_text(e.name))
            for name in below:
                with contextlib.suppress(OSError):
                    found += _entries_below(top, name, place / name, counts)
        finally:
            os.close(top)
    except OSError as exc:
        raise TelemetryError(
            f"The spool folder {folder} cannot be read: {exc.strerror}.",
            hint="Make it with: gsadmin init, or name another with --spool.",
        ) from exc
    over = Counter({uid: count - MAX_FILES_PER_USER for uid, count in counts.items() if count > MAX_FILES_PER_USER})
    return Listing(folder=place, entries=tuple(found), passed_over=over)


def _entries_below(top: int, name: str, path: Path, counts: Counter[int]) -> list[SpoolEntry]:
    descriptor = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=top)
    try:
        return _entries(descriptor, path, counts)
    finally:
        os.close(descriptor)


def _entries(descriptor: int, path: Path, counts: Counter[int]) -> list[SpoolEntry]:
    """The traces of one folder, by name, as many as each owner may have; counts all."""
    found = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            if not entry.name.endswith(TRACE_SUFFIX) or not _is_text(entry.name):
                continue
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                counts[status.st_uid] += 1
                if counts[status.st_uid] <= MAX_FILES_PER_USER:
                    found.append(
                        SpoolEntry(
                            path=path / entry.name,
                            inode=status.st_ino,
                            size_bytes=status.st_size,
                            modified_ns=status.st_mtime_ns,
                            owner_uid=status.st_uid,
                        )
                    )
    return sorted(found, key=lambda entry: entry.path.name)


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8: the recorder writes no other, and no database stores one."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def opened_trace(path: Path) -> AbstractContextManager[OpenFile]:
    """Open a trace for reading; see ``opened_file``."""
    return opened_file(path, MAX_TRACE_BYTES)


def read_header(path: Path) -> TraceHeader:
    """The header of a trace; nothing else of it is read.

    Raises:
        TelemetryError: it is not a regular file, is empty or too large, or does not begin with a header.
    """
    with opened_trace(path) as file:
        return header_of_line(next(lines_of(file.pieces()), b""))


def read_ticket_file(path: Path) -> TextFile:
    """A ticket's file, read whole; see ``read_file``."""
    return read_file(path, MAX_TICKET_BYTES)


def is_ticket(path: Path) -> bool:
    """Whether a path is a ticket's by its name."""
    return path.name.endswith(TICKET_SUFFIX)
