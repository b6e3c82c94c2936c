"""Folders that hold a user's private files: opened once, checked, and then used through their descriptor.

Where other users may write to a folder above, they can put a link or a folder of their own in the place of ours between
two calls. So a folder is opened without following a link, its owner and mode are read from the open descriptor, and
files are opened, written and renamed relative to that descriptor. Files are 0600 and folders 0700 whatever the umask.

Standard library only, without pathlib: every recorded job loads this module.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Collection, Iterator
from typing import NamedTuple

from advisor.errors import StorageError

PRIVATE_FOLDER_MODE = 0o700
PRIVATE_FILE_MODE = 0o600
_ROOT = 0
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_MINE = "Name another one in the settings; an admin makes a spool folder for a user with: gsadmin init --user NAME"
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """An open folder whose owner and mode were checked; names are of files right below it.

    ``path`` is for messages only. ``owner_uid`` is the folder's owner.
    """

    def __init__(self, path: str, descriptor: int, owners: frozenset[int]) -> None:
        self.path = path
        self.descriptor = descriptor
        self.owner_uid = os.fstat(descriptor).st_uid
        self._owners = owners

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)

    def create(self, name: str, *, mode: int = PRIVATE_FILE_MODE) -> int:
        """Make a new file and open it for writing; the descriptor is the caller's to close.

        Raises:
            StorageError: the name is taken, by a link too, or the file cannot be made.
        """
        with self._named(name):
            descriptor = os.open(_plain(name), _NEW, mode, dir_fd=self.descriptor)
            os.fchmod(descriptor, mode)  # the umask may have taken bits away
            return descriptor

    def write(self, name: str, content: bytes, *, mode: int = PRIVATE_FILE_MODE, durable: bool = False) -> None:
        """Write a file whole or not at all, in place of one of that name.

        Args:
            name: the file.
            content: all of it.
            mode: of the file, whatever the umask.
            durable: whether it must have reached the disk before it takes the name.

        Raises:
            StorageError: it cannot be written, or a folder bears its name; what was there stays.
        """
        beside = f".{name[:100]}.{os.urandom(8).hex()}"
        with self._named(name):
            descriptor = self.create(beside, mode=mode)
            try:
                try:
                    _write_whole(descriptor, content)
                    if durable:
                        os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                os.rename(beside, _plain(name), src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            except OSError:
                with contextlib.suppress(StorageError):
                    self.remove(beside)
                raise
            if durable:
                os.fsync(self.descriptor)

    def read(self, name: str, *, limit: int) -> bytes:
        """Read a file that only a trusted owner can have written.

        Raises:
            FileNotFoundError: there is none of that name.
            StorageError: it is a link or no regular file, larger than ``limit`` bytes, belongs to somebody else, or
                others may write to it.
        """
        with self._named(name, missing_is_error=False):
            descriptor = os.open(_plain(name), _READ, dir_fd=self.descriptor)
            try:
                status = os.fstat(descriptor)
                place = os.path.join(self.path, name)
                doubt = _file_doubt(status, self._owners)
                if doubt is not None:
                    raise StorageError(place, doubt.reason, hint=doubt.remedy.format(place))
                if status.st_size > limit:
                    raise StorageError(place, f"it has {status.st_size} bytes, more than {limit}")
                return _read_at_most(descriptor, status.st_size)
            finally:
                os.close(descriptor)

    def subfolder(self, name: str) -> Folder:
        """Open a folder right below this one, by the same rules; it is the caller's to close.

        Raises:
            FileNotFoundError: there is none of that name.
            StorageError: it is a link or no folder, belongs to somebody else, or others may write to it.
        """
        with self._named(name, missing_is_error=False):
            descriptor = os.open(_plain(name), _FOLDER, dir_fd=self.descriptor)
        return _checked(os.path.join(self.path, name), descriptor, self._owners, may_be_shared=False)

    def make_for(self, name: str, *, uid: int, gid: int) -> bool:
        """Make a private folder for another user right below this one; False where the user has it already.

        Raises:
            StorageError: something else bears the name, others may write to the folder, or it cannot be made.
        """
        with self._named(name):
            try:
                os.mkdir(_plain(name), PRIVATE_FOLDER_MODE, dir_fd=self.descriptor)
                is_new = True
            except FileExistsError:
                is_new = False
            descriptor = os.open(name, _FOLDER, dir_fd=self.descriptor)
            try:
                status = os.fstat(descriptor)
                if is_new and status.st_uid == os.geteuid():
                    os.fchmod(descriptor, PRIVATE_FOLDER_MODE)
                    os.fchown(descriptor, uid, gid)
                    return True
                doubt = _doubt(status, frozenset({uid}))
            finally:
                os.close(descriptor)
        if doubt is not None:
            raise StorageError(os.path.join(self.path, name), doubt.reason, hint="Look what it holds and remove it.")
        return False

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the lock that a file of this name stands for; it goes with the process, however that ends.

        Raises:
            BlockingIOError: another process holds it.
            StorageError: the file cannot be opened.
        """
        with self._named(name):
            descriptor = os.open(_plain(name), _LOCK, PRIVATE_FILE_MODE, dir_fd=self.descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(descriptor)

    def names(self) -> list[str]:
        """All names in it, sorted.

        Raises:
            StorageError: it cannot be read.
        """
        with self._named(""):
            return sorted(os.listdir(self.descriptor))

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error.

        Raises:
            StorageError: it cannot be removed.
        """
        with self._named(name):
            try:
                os.unlink(_plain(name), dir_fd=self.descriptor)
            except FileNotFoundError:
                return

    @contextlib.contextmanager
    def _named(self, name: str, *, missing_is_error: bool = True) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as exc:
            if not missing_is_error:
                raise
            raise StorageError(os.path.join(self.path, name), exc.strerror or "it is not there") from exc
        except OSError as exc:
            raise _translated(os.path.join(self.path, name), exc) from exc


@contextlib.contextmanager
def opened_folder(
    path: str | os.PathLike[str],
    *,
    make: bool = False,
    mode: int = PRIVATE_FOLDER_MODE,
    owners: Collection[int] = (),
    may_be_shared: bool = False,
) -> Iterator[Folder]:
    """``open_folder`` for a with statement; the folder is closed at its end."""
    folder = open_folder(path, make=make, mode=mode, owners=owners, may_be_shared=may_be_shared)
    try:
        yield folder
    finally:
        folder.close()


def open_folder(
    path: str | os.PathLike[str],
    *,
    make: bool = False,
    mode: int = PRIVATE_FOLDER_MODE,
    owners: Collection[int] = (),
    may_be_shared: bool = False,
) -> Folder:
    """Open a folder if it is this user's and nobody else may write to it.

    Args:
        path: the folder. Its last part must be no link; links above it are followed.
        make: make it where it is missing, and the missing folders above it too.
        mode: of folders that are made, whatever the umask.
        owners: whose folder it may be besides this user's own.
        may_be_shared: take also a folder in which all users may write, if it is sticky, as /tmp is, and belongs to
            one of ``trusted_owners``: nobody can then replace another's files.

    Raises:
        FileNotFoundError: it is not there and ``make`` is False.
        StorageError: it cannot be opened or made, is a link, belongs to somebody else, or others may write to it.
    """
    place = os.path.abspath(path)
    trusted = frozenset({os.geteuid(), *owners})
    try:
        if make:
            make_folder(place, mode=mode)
        descriptor = os.open(place, _FOLDER)
    except OSError as exc:
        if isinstance(exc, FileNotFoundError) and not make:
            raise
        raise _translated(place, exc) from exc
    return _checked(place, descriptor, trusted, may_be_shared=may_be_shared)


def _checked(place: str, descriptor: int, owners: frozenset[int], *, may_be_shared: bool) -> Folder:
    doubt = _folder_doubt(os.fstat(descriptor), owners, may_be_shared=may_be_shared)
    if doubt is not None:
        os.close(descriptor)
        raise StorageError(place, doubt.reason, hint=doubt.remedy.format(place))
    return Folder(place, descriptor, owners)


def trusted_owners() -> frozenset[int]:
    """This user, root, and the owner of this program's files, who could change what it does anyway."""
    return frozenset({os.geteuid(), _ROOT, os.stat(__file__).st_uid})


def check_file(path: str | os.PathLike[str], *, owners: Collection[int]) -> None:
    """Refuse a file that somebody else can have written; for programs that open files by their path alone (SQLite).

    Raises:
        FileNotFoundError: it is not there.
        StorageError: it is no regular file, belongs to none of the owners, or others may write to it.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise _translated(os.fspath(path), exc) from exc
    doubt = _file_doubt(status, frozenset(owners))
    if doubt is not None:
        raise StorageError(os.fspath(path), doubt.reason, hint=doubt.remedy.format(os.fspath(path)))


def make_folder(
    path: str | os.PathLike[str], *, mode: int = PRIVATE_FOLDER_MODE, mode_above: int | None = None
) -> None:
    """Make a folder where it is missing; one that is there stays as it is.

    Args:
        path: the folder.
        mode: its permission bits, whatever the umask.
        mode_above: those of missing folders above it; None means the same.

    Raises:
        OSError: it cannot be made.
    """
    missing = []
    place = os.path.abspath(path)
    while not os.path.lexists(place):
        missing.append(place)
        place = os.path.dirname(place)
    if not missing and not os.path.isdir(place):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), place)
    for folder in reversed(missing):
        try:
            os.mkdir(folder, PRIVATE_FOLDER_MODE)
        except FileExistsError:  # somebody was faster: whose it is will be seen when it is opened
            continue
        _set_mode(folder, mode if folder == missing[0] or mode_above is None else mode_above)


def _set_mode(folder: str, mode: int) -> None:
    descriptor = os.open(folder, _FOLDER)
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != mode:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


class _Doubt(NamedTuple):
    """Why a folder or file must not be used, and what its user can do; ``{}`` stands for its path."""

    reason: str
    remedy: str


def _folder_doubt(status: os.stat_result, owners: frozenset[int], *, may_be_shared: bool) -> _Doubt | None:
    mode = stat.S_IMODE(status.st_mode)
    if may_be_shared and mode & stat.S_IWOTH and status.st_uid in owners | trusted_owners():
        if mode & stat.S_ISVTX:
            return None
        reason = f"without the sticky bit users may remove each other's files from it (mode {mode:04o})"
        return _Doubt(reason, "chmod 1777 {}")
    return _doubt(status, owners)


def _file_doubt(status: os.stat_result, owners: frozenset[int]) -> _Doubt | None:
    return _doubt(status, owners) if stat.S_ISREG(status.st_mode) else _Doubt("it is not a regular file", "Remove {}.")


def _doubt(status: os.stat_result, owners: frozenset[int]) -> _Doubt | None:
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid not in owners:
        return _Doubt(f"it belongs to uid {status.st_uid}", _NOT_MINE)
    if mode & _OTHERS_MAY_WRITE:
        return _Doubt(
            f"other users may write to it (mode {mode:04o})", "If you trust what it holds, run: chmod go-w {}"
        )
    return None


def _translated(place: str, error: OSError) -> StorageError:
    if isinstance(error, NotADirectoryError) and os.path.islink(place):
        return StorageError(place, "it is a symbolic link")  # O_DIRECTORY with O_NOFOLLOW says ENOTDIR
    reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
    return StorageError(place, reason or "it cannot be used")


def _plain(name: str) -> str:
    """A name that stays in the folder."""
    if not name or name in {".", ".."} or "/" in name:
        raise OSError(errno.EINVAL, "its name is not a plain file name")
    return name


def _write_whole(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_at_most(descriptor: int, size: int) -> bytes:
    pieces = []
    while size > 0:
        piece = os.read(descriptor, size)
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
