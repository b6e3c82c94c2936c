"""Wall-clock seconds that never jump: energy is power times time, and a node's clock is set while jobs run on it."""

from __future__ import annotations

import time

# Marks older than this come from a container whose monotonic clock begins elsewhere.
_OLDEST_MARK_S = 60.0


class SteadyClock:
    """The wall clock as it was at first, moved on by the monotonic clock, which all processes of a machine share."""

    def __init__(self) -> None:
        self._ahead_s = time.time() - time.monotonic()

    def __call__(self) -> float:
        """Seconds since the epoch, now."""
        return time.monotonic() + self._ahead_s

    def wall_s(self, monotonic_s: float | None, wall_s: float) -> float:
        """The instant that another process called ``monotonic_s``; where that says nothing, its own ``wall_s``."""
        if monotonic_s is None or abs(time.monotonic() - monotonic_s) > _OLDEST_MARK_S:
            return wall_s
        return monotonic_s + self._ahead_s
