"""Writing a trace: complete lines only, and somewhere else when a disk fails, never an error into the job."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from advisor.errors import StorageError
from advisor.storage.folder import opened_folder
from advisor.telemetry.lines import Record, line_of
from advisor.telemetry.trace import TRACE_SUFFIX, TraceFooter, TraceHeader

FLUSH_EVERY_S = 30.0
_UNSAFE = re.compile(r"[^\w.+-]", re.ASCII)


def trace_name(header: TraceHeader) -> str:
    """``cluster-jobid[_task]-restart-node[.step].trace.jsonl``; what could leave the folder becomes ``_``."""
    task = f"_{header.array_task}" if header.array_task is not None else ""
    job = header.array_job_id if header.array_task is not None and header.array_job_id else header.job_id
    step = f".{header.step}" if header.step is not None else ""
    parts = (header.cluster, f"{job}{task}", str(header.restart), f"{header.node}{step}")
    return "-".join(_UNSAFE.sub("_", part)[:100] for part in parts) + TRACE_SUFFIX


class TraceFile:
    """Lines are kept until they are written whole; a folder that fails gives way to the next.

    Args:
        spool: the folder for the trace, made where it is missing; refused where others may lay traps in it.
        header: the first line, wherever it is written.
        fallback: a folder for the trace where the spool fails.
        warn: told once, in one line, when the spool could not be used.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        spool: Path,
        header: TraceHeader,
        *,
        fallback: Path | None = None,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_in = [partial(_create_in_spool, spool)] + ([partial(_create_in, fallback)] if fallback else [])
        self._header = header
        self._warn = warn
        self._warned = False
        self._clock = clock
        self._descriptor: int | None = None
        self._size = 0
        self._pending: list[str] = []
        self._flushed_at = clock()
        self.path: Path | None = None
        self._open_next("")

    def add(self, record: Record, *, flush: bool = False) -> None:
        """Keep a record, and write all that is kept where asked or when 30 s have passed."""
        self._pending.append(line_of(record))
        if flush or self._clock() - self._flushed_at >= FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Write all kept lines; on a failing disk go on in the next folder."""
        self._flushed_at = self._clock()
        while self._descriptor is not None and self._pending:
            data = "".join(self._pending).encode()
            try:
                os.ftruncate(self._descriptor, self._size)  # of an end that was none
                _write_whole(self._descriptor, data, self._size)
            except OSError as exc:
                self._abandon()
                self._open_next(exc.strerror or "error")
                continue
            self._size += len(data)
            self._pending.clear()
        if self._descriptor is None and len(self._pending) > 1:
            # Nowhere to write: what a person could still be shown is the newest, and memory must not grow.
            del self._pending[:-1]

    def end_for_now(self, footer: TraceFooter) -> None:
        """Write a last line that the next write takes back: nobody may be left to write it when the end has come."""
        self.flush()
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # the next flush meets the same disk, and tells
                _write_whole(self._descriptor, line_of(footer).encode(), self._size)

    def close(self) -> None:
        """Write what is left and make it last."""
        self.flush()
        if self._descriptor is not None:
            try:
                os.fsync(self._descriptor)
            except OSError as exc:
                self._tell(f"the trace may be incomplete: {exc.strerror}")
            os.close(self._descriptor)
            self._descriptor = None

    def _open_next(self, why: str) -> None:
        while self._open_in:
            try:
                path, descriptor = self._open_in.pop(0)(trace_name(self._header))
                self._size = _write_whole(descriptor, line_of(self._header).encode(), 0)
            except StorageError as exc:
                why = why or exc.reason
                continue
            except OSError as exc:
                why = why or exc.strerror or "error"
                continue
            self._descriptor, self.path = descriptor, path
            if why:
                self._tell(f"the spool folder failed ({why}); the trace is {path}")
            return
        self._tell(f"the trace is not kept: {why or 'there is no folder for it'}")

    def _abandon(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self.path = None, None

    def _tell(self, message: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(message)


def _create_in_spool(spool: Path, name: str) -> tuple[Path, int]:
    with opened_folder(spool, make=True, may_be_shared=True) as folder:
        return spool / name, folder.create(name)


def _create_in(folder: Path, name: str) -> tuple[Path, int]:
    """A new file in a folder of any owner: a name that exists, a link too, is left alone."""
    path = folder / name
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return path, os.open(path, flags, stat.S_IRUSR | stat.S_IWUSR)


def _write_whole(descriptor: int, data: bytes, size: int) -> int:
    """Append all of ``data`` to a file of ``size`` bytes, or leave it as it was; returns the bytes written.

    Raises:
        OSError: the disk is full or gone.
    """
    written = 0
    try:
        while written < len(data):
            written += os.pwrite(descriptor, data[written:], size + written)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    return written
