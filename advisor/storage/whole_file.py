"""Writing a file whole or not at all: a reader, or a crash half-way, never meets half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PRIVATE_MODE = 0o600


def write_whole(path: Path, content: bytes, *, mode: int = PRIVATE_MODE, durable: bool = False) -> None:
    """Write beside the file under another name, then rename; readable by its owner alone unless ``mode`` says more.

    Args:
        path: the file, in a folder that exists.
        content: all of it.
        mode: the permission bits it gets, whatever the umask is.
        durable: wait until the disk has it, so that it survives a power cut.

    Raises:
        OSError: it cannot be written; the file is then as it was.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}-")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
