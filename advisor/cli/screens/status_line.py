"""A line on a terminal that says what takes so long, written over again and gone afterwards."""

from __future__ import annotations

import contextlib
import shutil
from typing import TextIO

_BACK_AND_CLEAR = "\r\x1b[K"


class StatusLine:
    """Nothing at all where the stream is no terminal."""

    def __init__(self, stream: TextIO, hint: str) -> None:
        """``hint`` stands behind the text, in brackets."""
        self._stream, self._hint = stream, hint
        self._is_shown = False

    def show(self, text: str) -> None:
        """Write the text over the last one; "" clears the line."""
        if not self._stream.isatty() or not (text or self._is_shown):
            return
        self._is_shown = bool(text)
        tail = f" ({self._hint})"
        room = shutil.get_terminal_size().columns - len(tail) - 1
        line = text if len(text) <= room else text[: max(room - 3, 0)] + "..."
        with contextlib.suppress(OSError):  # a terminal that has gone takes no line
            self._stream.write(_BACK_AND_CLEAR + (line + tail if text else ""))
            self._stream.flush()
