"""A network that answers nobody: sockets can be made, named and listened on, and reach nothing.

The kernel refuses them all (seccomp.py); this only keeps a script from giving up before its training because it looked
for a free port or met another error than that of a machine without a network.
"""

import errno
import os
import socket
from typing import Any

_PORT = 29500  # what torch.distributed takes where nothing else is said
_HERE = "127.0.0.1"


class _SocketToNowhere(socket.socket):
    """A socket as it is, where the kernel allows it; else one that only looks like it."""

    _name: Any = None

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None) -> None:  # noqa: A002
        try:
            super().__init__(family, type, proto, fileno)
        except PermissionError:
            own, self._other = socket.socketpair()
            super().__init__(fileno=own.detach())
            self._name = (_HERE, _PORT)

    def bind(self, address: Any) -> None:
        if self._name is None:
            return super().bind(address)
        if isinstance(address, tuple) and len(address) > 1:
            self._name = (address[0] or "0.0.0.0", address[1] or _PORT)  # noqa: S104 (nothing is bound)
        return None

    def listen(self, *args: Any) -> None:
        return super().listen(*args) if self._name is None else None

    def setsockopt(self, *args: Any) -> None:
        return super().setsockopt(*args) if self._name is None else None

    def getsockname(self) -> Any:
        return super().getsockname() if self._name is None else self._name

    def connect(self, address: Any) -> None:
        raise _unreachable()

    def connect_ex(self, address: Any) -> int:
        return errno.ENETUNREACH

    def sendto(self, *_args: Any) -> int:
        raise _unreachable()

    def accept(self) -> Any:
        raise _unreachable()


def answer_nobody() -> None:
    """Put the stand-in in place."""
    socket.socket = _SocketToNowhere  # type: ignore[misc]
    look_up = socket.gethostbyname
    own_names = ("", "localhost", socket.gethostname())

    def gethostbyname(name: str) -> str:
        return _HERE if name in own_names else look_up(name)

    socket.gethostbyname = gethostbyname


def _unreachable() -> OSError:
    return OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
