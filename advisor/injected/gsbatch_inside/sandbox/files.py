"""Let a script believe that it may write: what it writes outside the scratch folder lands in a mirror inside it.

The kernel refuses such writes anyway (advisor/inspection/confine.py); this only keeps a script from giving up before
its training because it could not make ``runs/`` or open a log. Removals outside the scratch folder are pretended.
"""

import builtins
import functools
import io
import os
import shutil
from typing import Any, Callable, List

from . import reads

_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_scratch = ""
_mirror = ""
_mirrored: List[str] = []
_make_folder: Callable[[str], None] = os.mkdir


def mirror_writes(scratch: str) -> None:
    """Redirect Python's own ways to write files into ``scratch``."""
    global _scratch, _mirror, _make_folder  # noqa: PLW0603 (builtins are patched, so this is per process by nature)
    _make_folder = os.mkdir  # which may be opened_outside's
    _scratch = os.path.realpath(scratch)
    _mirror = os.path.join(_scratch, "mirror")
    builtins.open = io.open = _opener(io.open)
    os.open = _os_open(os.open)
    for name in ("mkdir", "mknod", "mkfifo"):
        setattr(os, name, _writing(getattr(os, name)))
    for name in ("stat", "lstat", "listdir", "scandir", "access", "chdir", "readlink"):
        setattr(os, name, _reading(getattr(os, name)))
    for name in ("remove", "unlink", "rmdir", "truncate"):
        setattr(os, name, _inside_or_nothing(getattr(os, name)))
    for name in ("rename", "replace", "link", "symlink"):
        setattr(os, name, _two_paths(getattr(os, name)))
    shutil.rmtree = _inside_or_nothing(shutil.rmtree)  # type: ignore[assignment]


def _is_path(path: Any) -> bool:
    return isinstance(path, (str, bytes, os.PathLike))


def _mirror_of(path: Any) -> str:
    absolute = os.path.abspath(os.fsdecode(path))
    if absolute.startswith((_scratch, "/dev/", "/proc/")):
        return absolute
    return _mirror + absolute


def _for_writing(path: Any) -> Any:
    target = _mirror_of(path)
    if not target.startswith(_mirror):
        return path
    parent = os.path.dirname(target)
    original_parent = parent[len(_mirror) :]
    if not os.path.isdir(parent) and os.path.isdir(original_parent or "/"):
        _real_makedirs(parent)
    if len(_mirrored) < 10000:
        _mirrored.append(target)
    return target


def _real_makedirs(path: str) -> None:
    if not os.path.isdir(path):
        _real_makedirs(os.path.dirname(path))
        _make_folder(path)


def _for_reading(path: Any, *, listed: bool = False) -> Any:
    target = _mirror_of(path)
    if not target.startswith(_mirror):
        return path
    if _mirrored and _exists(target):
        return target
    reads.looked_at(target[len(_mirror) :], listed=listed)
    return path


def _exists(path: str) -> bool:
    try:
        _STAT(path)
    except OSError:
        return False
    return True


_STAT = os.stat


def _opener(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if _is_path(file):
            if any(letter in mode for letter in "wax+"):
                target = _for_writing(file)
                if target is not file and ("a" in mode or "+" in mode) and not _exists(target) and _exists(file):
                    shutil.copyfile(_for_reading(file), target)
                file = target
            else:
                file = _for_reading(file)
        return original(file, mode, *args, **kwargs)

    return opened


def _os_open(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def opened(path: Any, flags: int, *args: Any, **kwargs: Any) -> Any:
        if _is_path(path) and not kwargs.get("dir_fd"):
            path = _for_writing(path) if flags & _WRITE_FLAGS else _for_reading(path)
        return original(path, flags, *args, **kwargs)

    return opened


def _writing(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def called(path: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_path(path) and not kwargs.get("dir_fd"):
            if _exists(os.fsdecode(path)):
                return original(path, *args, **kwargs)  # raises FileExistsError as it should
            path = _for_writing(path)
        return original(path, *args, **kwargs)

    return called


def _reading(original: Callable[..., Any]) -> Callable[..., Any]:
    listed = original.__name__ in ("listdir", "scandir")

    @functools.wraps(original)
    def called(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
        if _is_path(path) and not kwargs.get("dir_fd"):
            path = _for_reading(path, listed=listed)
        return original(path, *args, **kwargs)

    return called


def _inside_or_nothing(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def called(path: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_path(path) or kwargs.get("dir_fd") is not None:
            return original(path, *args, **kwargs)
        target = _mirror_of(path)
        if target.startswith(_mirror) and not _exists(target):
            return _STAT(path) and None  # a path that is not there raises FileNotFoundError, any other is "removed"
        return original(target, *args, **kwargs)

    return called


def _two_paths(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def called(src: Any, dst: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_path(src) and _is_path(dst):
            src, dst = _for_reading(src), _for_writing(dst)
            if not _mirror_of(src).startswith(_scratch) and original.__name__ in ("rename", "replace"):
                shutil.copyfile(src, dst)
                return None
        return original(src, dst, *args, **kwargs)

    return called
