"""A bound on the time that advice may take, whatever it is doing."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

_AGAIN_AFTER_S = 1.0


class OutOfTime(BaseException):
    """Advice took too long.

    It is no Exception, so that an ``except Exception`` on the way does not catch it. A handler that catches everything
    gets it again a second later.
    """


@contextlib.contextmanager
def time_limit(limit_s: float) -> Iterator[None]:
    """Raise OutOfTime in the main thread after ``limit_s`` seconds; what waits for a child process is woken too."""

    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, limit_s, _AGAIN_AFTER_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
