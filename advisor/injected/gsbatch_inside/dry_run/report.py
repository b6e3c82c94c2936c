"""What the dry run has found so far, handed over as JSON lines the moment it is known.

Lines: ``{"started": version}``, ``{"phase": n, "facts": {name: value}}`` (facts of one phase may come in several
lines), ``{"note": text}``, ``{"arguments": {...}}``, ``{"reads": {...}}`` (see reads.py), ``{"ended": how}``. A script
may be killed at any moment, so nothing is kept back.
"""

import json
import math
import os
import threading
from typing import Any, Callable, Dict, List, Optional, Set

_lock = threading.Lock()
_descriptor = -1
_seen_notes: Set[str] = set()
_phases = 0
_at_end: List[Callable[[], None]] = []


def start(descriptor: int) -> None:
    """Write to this file descriptor from now on."""
    global _descriptor  # noqa: PLW0603 (one record a process, reached from hooks that hold no object of ours)
    _descriptor = descriptor


def new_phase() -> int:
    """Number of a new phase: one stretch of training that has its own model, data or epochs."""
    global _phases  # noqa: PLW0603 (see start)
    with _lock:
        _phases += 1
        return _phases


def facts(phase: int, **values: Any) -> None:
    """Hand over facts of a phase; those that are None or not finite are unknown and left out."""
    cleaned = {name: _clean(value) for name, value in values.items()}
    known = {name: value for name, value in cleaned.items() if value is not None}
    if known:
        write({"phase": phase, "facts": known})


def phases() -> int:
    """How many phases there are so far."""
    return _phases


def at_end(callback: Callable[[], None]) -> None:
    """Call back before the dry run ends, for what can only be summed up then."""
    _at_end.append(callback)


def finish() -> None:
    """Run what was put off to the end, once."""
    while _at_end:
        callback = _at_end.pop(0)
        try:
            callback()
        except Exception as exc:
            note("the dry run could not sum up: %s" % exc)


def note(text: str) -> None:
    """Hand over a sentence for the user, once."""
    if text not in _seen_notes:
        _seen_notes.add(text)
        write({"note": "".join(letter for letter in text.split("\n", 1)[0] if letter.isprintable())[:300]})


def write(message: Dict[str, Any]) -> None:
    """One line; a reader that is gone does not matter."""
    data = (json.dumps(message) + "\n").encode("utf-8", "replace")
    with _lock:
        try:
            while data:
                data = data[os.write(_descriptor, data) :]
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
