"""How much of a login node a dry run may use, and whether it uses more.

The kernel's own limits (confine.py) hold what they can: private memory, CPU time, one file's size. What they do not
count is looked at while the dry run goes on: memory that is shared or cached, threads, and all files together.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from advisor.units import GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one dry run may use; ``messages_bytes`` is what it may say of itself.

    After its first fit a script may go on to a second one: ``after_fit_s`` is the CPU time that it may take to get
    there, in thrice that time at most.
    """

    wall_s: float = 60.0
    after_fit_s: float = 10.0
    cpu_s: int = 90
    memory_bytes: int = 6 * GIB
    file_bytes: int = 1 * GIB
    scratch_bytes: int = 2 * GIB
    scratch_entries: int = 20_000
    threads: int = 1_000
    messages_bytes: int = 4 * 1024**2


# Whoever submits waits for it: half a minute with all that starting and ending it takes.
BEFORE_SUBMISSION = Bounds(wall_s=27.0)


def excess(processes: Sequence[psutil.Process], bounds: Bounds) -> str | None:
    """What of memory and threads these processes use too much of, in words; None where all is within bounds."""
    memory_bytes = threads = 0
    for process in processes:
        try:
            memory_bytes += process.memory_info().rss
            threads += process.num_threads()
        except psutil.Error:  # it has ended
            continue
    if memory_bytes > bounds.memory_bytes:
        return f"it used more than {bounds.memory_bytes / GIB:.3g} GiB of memory"
    if threads > bounds.threads:
        return f"it started more than {bounds.threads} threads"
    return None


def scratch_excess(scratch: Path, processes: Sequence[psutil.Process], bounds: Bounds) -> str | None:
    """What of its scratch folder these processes use too much of, deleted files that they hold open included."""
    used_bytes = sum(_deleted_bytes(process.pid) for process in processes)
    entries = 0
    waiting = [str(scratch)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    entries += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        used_bytes += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entries > bounds.scratch_entries:
                        return f"it made more than {bounds.scratch_entries} files"
        except OSError:  # gone meanwhile, unreadable by its own mode, or nested too deep to be named
            entries += 1
    return f"it wrote more than {bounds.scratch_bytes / GIB:.3g} GiB" if used_bytes > bounds.scratch_bytes else None


def _deleted_bytes(pid: int) -> int:
    total = 0
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            status = descriptor.stat()  # leads into files without a name too
            if stat.S_ISREG(status.st_mode) and not status.st_nlink:
                total += status.st_blocks * 512
    except OSError:
        return total
    return total
