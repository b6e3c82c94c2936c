"""A file is written whole or stays as it was."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest

from advisor.storage.whole_file import write_whole


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_it_has_the_mode_that_was_asked_for(tmp_path: Path, mode: int) -> None:
    """Whatever the umask is."""
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "f", b"content", mode=mode, durable=True)
    finally:
        os.umask(before)

    assert (b"content", mode) == ((tmp_path / "f").read_bytes(), (tmp_path / "f").stat().st_mode & 0o777)
    assert ["f"] == [file.name for file in tmp_path.iterdir()]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """What could not be written is removed, and the caller hears of it."""
    file = tmp_path / "f"
    file.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(file, b"new content")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)

    assert ([("f", b"old")]) == [(found.name, found.read_bytes()) for found in tmp_path.iterdir()]
