"""Private folders: whatever other users lay in their place, nothing of the user's is overwritten or believed."""

from __future__ import annotations

import os
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from advisor.errors import StorageError
from advisor.storage.folder import Folder, open_folder, opened_folder
from tests.two_users import ATTACKER, VICTIM, as_user, commons, needs_root

__all__ = ["commons"]

WRITE = """
import sys
from advisor.errors import StorageError
from advisor.storage.folder import opened_folder
try:
    with opened_folder(sys.argv[1], make=True, may_be_shared=True) as folder:
        folder.write(sys.argv[2], b"written")
except StorageError as exc:
    sys.exit(f"{exc} | {exc.hint}")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A private folder, just made."""
    with opened_folder(tmp_path / "private", make=True) as opened:
        yield opened


def mode(path: Path) -> int:
    """The permission bits of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    """Folders that are made, those above too, are 0700 and files 0600."""
    before = os.umask(umask)
    try:
        with opened_folder(tmp_path / "above" / "private", make=True) as opened:
            opened.write("file", b"x")
            os.close(opened.create("other"))
            opened.write("public", b"x", mode=0o644)
    finally:
        os.umask(before)
    below = tmp_path / "above" / "private"

    assert [0o700, 0o700] == [mode(below.parent), mode(below)]
    assert [0o600, 0o600, 0o644] == [mode(below / name) for name in ("file", "other", "public")]


def test_a_file_is_written_whole_and_read_back(folder: Folder) -> None:
    """A second writing replaces the first; nothing is left beside it."""
    folder.write("file", b"first")
    folder.write("file", b"second", durable=True)

    assert (b"second", ["file"]) == (folder.read("file", limit=100), folder.names())


def test_a_folder_in_the_place_of_a_file_stays_and_nothing_is_left(folder: Folder) -> None:
    """What cannot be replaced is an error, and the file that was to replace it is removed."""
    os.mkdir("file", dir_fd=folder.descriptor)

    with pytest.raises(StorageError):
        folder.write("file", b"x")
    assert ["file"] == folder.names()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd"])
def test_no_name_leaves_the_folder(folder: Folder, name: str) -> None:
    """Names come from job ids and clusters, which users may set."""
    for use in (folder.create, folder.remove, lambda name: folder.read(name, limit=1), lambda n: folder.write(n, b"")):
        with pytest.raises(StorageError):
            use(name)


def test_a_new_file_never_takes_a_name_that_exists(folder: Folder) -> None:
    """Neither a file nor a link, dangling or not, is opened in place of a new file."""
    os.symlink("/nowhere", "link", dir_fd=folder.descriptor)
    folder.write("file", b"kept")
    for name in ("link", "file"):
        with pytest.raises(StorageError, match="exists"):
            folder.create(name)

    assert b"kept" == folder.read("file", limit=100)


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "large", "open"])
def test_what_is_no_trusted_file_is_not_read(folder: Folder, tmp_path: Path, kind: str) -> None:
    """A FIFO is not waited for, a link not followed, a file that others may write to not believed."""
    (tmp_path / "elsewhere").write_text("x", encoding="utf-8")
    place = Path(folder.path) / "file"
    if kind == "link":
        place.symlink_to(tmp_path / "elsewhere")
    elif kind == "fifo":
        os.mkfifo(place, 0o600)
    elif kind == "folder":
        place.mkdir()
    else:
        folder.write("file", b"x" * 101 if kind == "large" else b"x", mode=0o666 if kind == "open" else 0o600)

    with pytest.raises(StorageError):
        folder.read("file", limit=100)


def test_a_missing_file_or_folder_is_told_from_one_that_cannot_be_used(folder: Folder, tmp_path: Path) -> None:
    """Callers go on where there is nothing, and say something where something is wrong."""
    with pytest.raises(FileNotFoundError):
        folder.read("file", limit=100)
    with pytest.raises(FileNotFoundError):
        open_folder(tmp_path / "none")


def test_a_link_is_no_private_folder(tmp_path: Path) -> None:
    """The last part of the path must be the folder itself."""
    (tmp_path / "own").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "own")

    with pytest.raises(StorageError, match="symbolic link"):
        open_folder(tmp_path / "link", make=True)


@pytest.mark.parametrize("bits", [0o777, 0o770, 0o702])
def test_a_folder_that_others_may_write_to_is_refused_with_the_remedy(tmp_path: Path, bits: int) -> None:
    """The hint is the command that closes it."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(bits)

    with pytest.raises(StorageError, match="other users may write") as caught:
        open_folder(tmp_path / "open")
    assert f"chmod go-w {tmp_path / 'open'}" in str(caught.value.hint)


def test_a_shared_folder_must_be_sticky(tmp_path: Path) -> None:
    """As in /tmp: without the sticky bit users remove and replace each other's files."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(StorageError, match="remove each other's files"):
        open_folder(shared, may_be_shared=True)
    shared.chmod(0o1777)
    with opened_folder(shared, may_be_shared=True) as opened:
        opened.write("file", b"x")

    assert b"x" == (shared / "file").read_bytes()
    with pytest.raises(StorageError, match="other users may write"):
        open_folder(shared)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(folder: Folder) -> None:
    """What could not be written is removed, and the caller hears of it."""
    folder.write("file", b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(StorageError, match="File too large"):
            folder.write("file", b"new content")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)

    assert ([("file", b"old")]) == [(name, folder.read(name, limit=100)) for name in folder.names()]


def test_a_lock_is_held_by_one(folder: Folder) -> None:
    """The second is told at once; a link in the lock's place is not followed."""
    with folder.locked("lock"), pytest.raises(BlockingIOError), folder.locked("lock"):
        pass
    with folder.locked("lock"):
        pass
    os.symlink("/nowhere", "link", dir_fd=folder.descriptor)

    with pytest.raises(StorageError, match="symbolic link"), folder.locked("link"):
        pass


@needs_root
@pytest.mark.parametrize("victim", [VICTIM, 0])
def test_a_folder_that_another_user_made_first_is_refused(commons: Path, victim: int) -> None:
    """Who makes ``spool/NAME`` before its user does gets nothing written, whatever its mode; root is a user too."""
    code = "import os, sys; os.mkdir(sys.argv[1]); os.chmod(sys.argv[1], 0o1777)"
    assert 0 == as_user(ATTACKER, code, commons / "victim").returncode

    done = as_user(victim, WRITE, commons / "victim", "file")
    assert (1, True) == (done.returncode, f"belongs to uid {ATTACKER}" in done.stderr)
    assert "gsadmin init" in done.stderr
    assert [] == list((commons / "victim").iterdir())


@needs_root
@pytest.mark.parametrize("victim", [VICTIM, 0])
def test_a_folder_swapped_for_a_link_does_not_lead_elsewhere(commons: Path, victim: int) -> None:
    """What was opened stays what is worked in: a link put in its place meanwhile gets nothing."""
    target = commons / "target"
    target.mkdir()
    (target / "file").write_text("precious", encoding="utf-8")
    os.chown(target, victim, victim)
    code = """
import os, sys
from advisor.storage.folder import opened_folder
with opened_folder(sys.argv[1], make=True) as folder:
    os.rename(sys.argv[1], sys.argv[1] + ".away")
    os.symlink(sys.argv[2], sys.argv[1])
    folder.write("file", b"written")
"""
    done = as_user(victim, code, commons / "victim", target)

    assert (0, "") == (done.returncode, done.stderr)
    assert ("precious", "written") == ((target / "file").read_text(), (commons / "victim.away" / "file").read_text())


@needs_root
def test_files_of_another_user_are_neither_read_nor_replaced(commons: Path) -> None:
    """In a shared folder anybody may have taken the name."""
    code = "import sys; open(sys.argv[1], 'w').write('planted')"
    assert 0 == as_user(ATTACKER, code, commons / "file").returncode
    read = """
import sys
from advisor.errors import StorageError
from advisor.storage.folder import opened_folder
try:
    with opened_folder(sys.argv[1], may_be_shared=True) as folder:
        folder.read("file", limit=100)
except StorageError as exc:
    sys.exit(str(exc))
"""

    assert f"belongs to uid {ATTACKER}" in as_user(VICTIM, read, commons).stderr
    assert 1 == as_user(VICTIM, WRITE, commons, "file").returncode
    assert (["file"], "planted") == ([path.name for path in commons.iterdir()], (commons / "file").read_text())
