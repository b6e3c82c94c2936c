"""Have files of the scratch folder opened by gsbatch, where this process may open none for writing itself.

That is so where the kernel has no Landlock (seccomp.py). Python's own ways to write are led to
a pair of sockets, whose other end opens the file (advisor/inspection/scratch_files.py) and sends its descriptor. What
compiled code opens for writing fails.
"""

import array
import builtins
import errno
import functools
import io
import json
import os
import shutil
import socket
import tempfile
import threading
from typing import Any, Callable, Dict, Optional

_WRITING = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC


class OpenedOutside:
    """Python's functions that change files, each asking over the sockets."""

    def __init__(self, descriptor: int) -> None:
        # The other end reads packets; the family and kind are stated because older Pythons do not look them up.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)
        self._lock = threading.Lock()
        self._open = os.open

    def take_over(self) -> None:
        """Put these functions in the place of Python's."""
        os.open = self.open
        builtins.open = io.open = self._opener(io.open)
        os.mkdir = self.mkdir
        os.rmdir = functools.partial(self._one, "rmdir", os.rmdir)
        unlink = os.unlink
        os.remove = os.unlink = functools.partial(self._one, "unlink", unlink)
        _replace_default(tempfile._TemporaryFileCloser, unlink, os.unlink)  # type: ignore[attr-defined]
        os.rename = functools.partial(self._rename, os.rename)
        os.replace = functools.partial(self._rename, os.replace)
        shutil._use_fd_functions = False  # type: ignore[attr-defined]

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: Optional[int] = None) -> int:
        """As os.open."""
        if not flags & _WRITING or dir_fd is not None:
            return self._open(path, flags, mode, dir_fd=dir_fd)
        return self._ask({"do": "open", "path": _absolute(path), "flags": flags, "mode": mode}, path)

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: Optional[int] = None) -> None:
        """As os.mkdir."""
        if dir_fd is not None:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
        self._ask({"do": "mkdir", "path": _absolute(path), "mode": mode}, path)

    def _one(self, what: str, original: Callable[..., Any], path: Any, **kwargs: Any) -> Any:
        if kwargs.get("dir_fd") is not None:
            return original(path, **kwargs)
        return self._ask({"do": what, "path": _absolute(path)}, path)

    def _rename(self, original: Callable[..., Any], src: Any, dst: Any, **kwargs: Any) -> Any:
        if any(value is not None for value in kwargs.values()):
            return original(src, dst, **kwargs)
        return self._ask({"do": "rename", "path": _absolute(src), "to": _absolute(dst)}, src)

    def _opener(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            # pathlib before Python 3.10 brings the os.open that it found when it was imported; no other opener of
            # a script's is replaced.
            its_own = getattr(kwargs.get("opener"), "__module__", "pathlib") != "pathlib"
            if any(letter in mode for letter in "wax+") and not isinstance(file, int) and not its_own:
                kwargs["opener"] = self.open
            return original(file, mode, *args, **kwargs)

        return opened

    def _ask(self, request: Dict[str, Any], path: Any) -> int:
        """The descriptor of what was opened, -1 where nothing was to be; as an OSError what was answered else."""
        descriptors = array.array("i")
        with self._lock:
            self._socket.send(json.dumps(request).encode("utf-8", "surrogateescape"))
            answer, extra, _flags, _from = self._socket.recvmsg(64, socket.CMSG_SPACE(descriptors.itemsize))
        for level, kind, data in extra:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        number = int(answer or errno.EIO)
        if number:
            raise OSError(number, os.strerror(number), path)
        return descriptors[0] if descriptors else -1


def _replace_default(kind: Any, old: Any, new: Any) -> None:
    """Replace what a class took as a default of its methods when its module was imported."""
    for function in vars(kind).values():
        defaults = getattr(function, "__defaults__", None)
        if defaults and old in defaults:
            function.__defaults__ = tuple(new if value is old else value for value in defaults)


def _absolute(path: Any) -> str:
    return os.path.abspath(os.fsdecode(path))
