"""What the script is doing just now, for the person who waits: the line of their own code that is being run."""

import linecache
import os
import sys
import threading
import time
from typing import Any, Callable, Dict, Optional, Tuple

_EVERY_S = 0.5
_INSTALLED = ("site-packages", "dist-packages")


class Progress:
    """Looks at the main thread now and then and reports the line of the user's own code that it is in."""

    def __init__(self, write: Callable[[Dict[str, Any]], None], script: str) -> None:
        self._write = write
        self._folder = os.path.dirname(os.path.abspath(script)) + os.sep
        self._main = threading.main_thread().ident
        self._next_s = 0.0
        self._last: Optional[Tuple[str, int]] = None

    def look(self) -> None:
        """Report, if it is time to."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        place = self._place()
        if place is not None and place != self._last:
            self._last = place
            text = linecache.getline(*place).strip()
            self._write({"now": "%s:%d %s" % (os.path.basename(place[0]), place[1], text[:80])})

    def _place(self) -> Optional[Tuple[str, int]]:
        frame = sys._current_frames().get(self._main or 0)
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(self._folder) and not any(name in file for name in _INSTALLED):
                return file, frame.f_lineno
            frame = frame.f_back
        return None
