"""The folder that a dry run may write in, and how it is removed whatever a script made of it."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder for this user alone, gone afterwards."""
    scratch = Path(tempfile.mkdtemp(prefix="gsbatch-probe-")).resolve()
    try:
        yield scratch
    finally:
        _remove(scratch)


def _remove(scratch: Path) -> None:
    """Remove a folder that may be nested deeper than a path can tell, closed to its owner, or full of links.

    Every folder is moved to the top before it is emptied, so no path grows. No link is followed. Nobody writes here
    any more: the dry run's processes have been ended.
    """
    with contextlib.suppress(OSError):
        top = tempfile.mkdtemp(dir=scratch)
        places = (f"{top}/{number}" for number in itertools.count())
        waiting = [path for path in _emptied(str(scratch)) if path != top]
        while waiting:
            moved = next(places)
            os.rename(waiting.pop(), moved)  # noqa: PTH104 (str, as all paths here)
            waiting += _emptied(moved)
    shutil.rmtree(scratch, ignore_errors=True)


def _emptied(folder: str) -> list[str]:
    """Remove the files of a folder; its folders are left, and opened to their owner."""
    with os.scandir(folder) as found:
        entries = list(found)
    folders = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, 0o700)  # noqa: PTH101
        else:
            os.unlink(entry.path)  # noqa: PTH108
    return folders
