"""What the dry run has found so far, handed over as JSON lines the moment it is known.

Lines: ``{"started": version}``, ``{"phase": n, "facts": {name: value}}`` (facts of one phase may come in several
lines; ``"published": [names]`` beside them names those that are a data set's published size), ``{"note": text}``,
``{"arguments": {...}}``, ``{"reads": {...}}`` (see sandbox/reads.py), ``{"ended": how}``. A script may be killed at any
moment, so nothing is kept back.
"""

import json
import math
import os
import threading
from typing import Any, Dict, Iterable, Optional, Set

_COUNTS = ("epochs", "steps", "train_samples", "validation_samples", "seen_samples")
_NO_COUNT = 1 << 38  # more than any training has: it comes of a length that is made up
_MAY_STOP_EARLY = "the training may stop early; epochs is the most it will do"


class Report:
    """Writes to a file descriptor; a reader that is gone does not matter."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._seen_notes: Set[str] = set()
        self.phases = 0

    def new_phase(self) -> int:
        """Number of a new phase: one stretch of training that has its own model, data or epochs."""
        with self._lock:
            self.phases += 1
            return self.phases

    def facts(self, phase: int, values: Dict[str, Any], published: Iterable[str] = ()) -> None:
        """Hand over facts of a phase; those that are None or not finite are unknown and left out."""
        cleaned = {name: _clean(value) for name, value in values.items()}
        known = {name: value for name, value in cleaned.items() if value is not None}
        for name in _COUNTS:
            if known.get(name, 0) >= _NO_COUNT:
                del known[name]
                self.note("%s hangs on data that are not on this machine, and stays unknown" % name)
        if known:
            message: Dict[str, Any] = {"phase": phase, "facts": known}
            listed = [name for name in published if name in known]
            if listed:
                message["published"] = listed
            self.write(message)

    def note(self, text: str) -> None:
        """Hand over a sentence for the user, once."""
        if text not in self._seen_notes:
            self._seen_notes.add(text)
            self.write({"note": "".join(letter for letter in text.split("\n", 1)[0] if letter.isprintable())[:300]})

    def may_stop_early(self) -> None:
        """Say that the epochs are an upper bound."""
        self.note(_MAY_STOP_EARLY)

    def look_for_early_stopping(self, callbacks: Iterable[Any]) -> None:
        """Say so where one of a framework's callbacks can end the training early."""
        if any("EarlyStopping" in type(callback).__name__ for callback in callbacks):
            self.may_stop_early()

    def write(self, message: Dict[str, Any]) -> None:
        """One line."""
        data = (json.dumps(message) + "\n").encode("utf-8", "replace")
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError:
                pass


def _clean(value: Any) -> Optional[Any]:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [_clean(item) for item in value]
        return None if any(item is None for item in items) else items
    try:
        number = value.item() if hasattr(value, "item") else value
        if isinstance(number, float) and not math.isfinite(number):
            return None
        return int(number) if float(number).is_integer() else float(number)
    except Exception:
        return None
