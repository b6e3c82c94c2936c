"""Let a script believe that it may write: what it writes outside the scratch folder lands in a mirror inside it.

The kernel refuses such writes anyway (advisor/inspection/confine.py); this only keeps a script from giving up before
its training because it could not make ``runs/`` or open a log. Removals outside the scratch folder are pretended.
"""

import builtins
import functools
import io
import os
import shutil
from typing import Any, Callable

from .reads import Reads

_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Mirror:
    """A folder in the scratch folder that takes what is written elsewhere."""

    def __init__(self, scratch: str, reads: Reads) -> None:
        self._scratch = os.path.realpath(scratch)
        self._mirror = os.path.join(self._scratch, "mirror")
        self._reads = reads
        self._has_any = False
        self._make_folder = os.mkdir  # which may be opened_outside's
        self._stat = os.stat

    def watch(self) -> None:
        """Redirect Python's own ways to write files into the scratch folder."""
        builtins.open = io.open = self._opener(io.open)
        os.open = self._os_open(os.open)
        for name in ("mkdir", "mknod", "mkfifo"):
            setattr(os, name, self._writing(getattr(os, name)))
        for name in ("stat", "lstat", "listdir", "scandir", "access", "chdir", "readlink"):
            setattr(os, name, self._reading(getattr(os, name)))
        for name in ("remove", "unlink", "rmdir", "truncate"):
            setattr(os, name, self._inside_or_nothing(getattr(os, name)))
        for name in ("rename", "replace", "link", "symlink"):
            setattr(os, name, self._two_paths(getattr(os, name)))
        shutil.rmtree = self._inside_or_nothing(shutil.rmtree)  # type: ignore[assignment]

    def _mirror_of(self, path: Any) -> str:
        absolute = os.path.abspath(os.fsdecode(path))
        if absolute.startswith((self._scratch, "/dev/", "/proc/")):
            return absolute
        return self._mirror + absolute

    def _for_writing(self, path: Any) -> Any:
        target = self._mirror_of(path)
        if not target.startswith(self._mirror):
            return path
        parent = os.path.dirname(target)
        original_parent = parent[len(self._mirror) :]
        if not os.path.isdir(parent) and os.path.isdir(original_parent or "/"):
            self._real_makedirs(parent)
        self._has_any = True
        return target

    def _real_makedirs(self, path: str) -> None:
        if not os.path.isdir(path):
            self._real_makedirs(os.path.dirname(path))
            self._make_folder(path)

    def _for_reading(self, path: Any, *, listed: bool = False) -> Any:
        target = self._mirror_of(path)
        if not target.startswith(self._mirror):
            return path
        if self._has_any and self._exists(target):
            return target
        self._reads.looked_at(target[len(self._mirror) :], listed=listed)
        return path

    def _exists(self, path: str) -> bool:
        try:
            self._stat(path)
        except OSError:
            return False
        return True

    def _opener(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if _is_path(file):
                if any(letter in mode for letter in "wax+"):
                    target = self._for_writing(file)
                    if (
                        target is not file
                        and ("a" in mode or "+" in mode)
                        and not self._exists(target)
                        and self._exists(file)
                    ):
                        shutil.copyfile(self._for_reading(file), target)
                    file = target
                else:
                    file = self._for_reading(file)
            return original(file, mode, *args, **kwargs)

        return opened

    def _os_open(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def opened(path: Any, flags: int, *args: Any, **kwargs: Any) -> Any:
            if _is_path(path) and not kwargs.get("dir_fd"):
                path = self._for_writing(path) if flags & _WRITE_FLAGS else self._for_reading(path)
            return original(path, flags, *args, **kwargs)

        return opened

    def _writing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def called(path: Any, *args: Any, **kwargs: Any) -> Any:
            if _is_path(path) and not kwargs.get("dir_fd"):
                if self._exists(os.fsdecode(path)):
                    return original(path, *args, **kwargs)  # raises FileExistsError as it should
                path = self._for_writing(path)
            return original(path, *args, **kwargs)

        return called

    def _reading(self, original: Callable[..., Any]) -> Callable[..., Any]:
        listed = original.__name__ in ("listdir", "scandir")

        @functools.wraps(original)
        def called(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if _is_path(path) and not kwargs.get("dir_fd"):
                path = self._for_reading(path, listed=listed)
            return original(path, *args, **kwargs)

        return called

    def _inside_or_nothing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def called(path: Any, *args: Any, **kwargs: Any) -> Any:
            if not _is_path(path) or kwargs.get("dir_fd") is not None:
                return original(path, *args, **kwargs)
            target = self._mirror_of(path)
            if target.startswith(self._mirror) and not self._exists(target):
                return (
                    self._stat(path) and None
                )  # a path that is not there raises FileNotFoundError, any other is "removed"
            return original(target, *args, **kwargs)

        return called

    def _two_paths(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def called(src: Any, dst: Any, *args: Any, **kwargs: Any) -> Any:
            if _is_path(src) and _is_path(dst):
                src, dst = self._for_reading(src), self._for_writing(dst)
                if not self._mirror_of(src).startswith(self._scratch) and original.__name__ in ("rename", "replace"):
                    shutil.copyfile(src, dst)
                    return None
            return original(src, dst, *args, **kwargs)

        return called


def _is_path(path: Any) -> bool:
    return isinstance(path, (str, bytes, os.PathLike))
