"""Which GPUs a device cgroup lets this process open: the last word where neither Slurm nor CUDA names any.

The lists of cgroup v1 and the programs of v2 differ, and the latter cannot be read; what either refuses is the same.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

_NODE = re.compile(r"nvidia(\d+)")


def allowed_minors(
    folder: Path = Path("/dev"), open_device: Callable[[Path, int], int] = os.open
) -> frozenset[int] | None:
    """Minor numbers of the GPUs that may be opened; None where none is refused, because then nothing is told apart."""
    allowed, refused = set(), set()
    for path in folder.glob("nvidia*"):
        match = _NODE.fullmatch(path.name)
        if match is None:
            continue
        try:
            os.close(open_device(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as exc:
            # EPERM is the cgroup's; a mode gives EACCES, a card that fell off the bus ENODEV or EIO.
            if exc.errno == errno.EPERM:
                refused.add(int(match[1]))
            continue
        allowed.add(int(match[1]))
    return frozenset(allowed) if refused else None
