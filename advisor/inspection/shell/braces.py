"""Brace expansion: ``{1..3}``, ``{a,b}``."""

from __future__ import annotations

import re

_INNER = re.compile(r"\{([^{}\s]*)\}")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.(-?\d+))?|([A-Za-z])\.\.([A-Za-z])")
_MOST = 1000


def brace_expanded(text: str) -> list[str]:
    """The words that a word with braces becomes; none where it has no braces, or quotes and variables beside them."""
    if "{" not in text or re.search(r"[$'\"`\\]", text):
        return []
    words = _expanded(text)
    return words if words != [text] else []


def _expanded(text: str) -> list[str]:
    for match in _INNER.finditer(text):
        items = _items(match.group(1))
        if items:
            found = [word for item in items for word in _expanded(text[: match.start()] + item + text[match.end() :])]
            return found[:_MOST]
    return [text]


def _items(inner: str) -> list[str]:
    match = _RANGE.fullmatch(inner)
    if match is None:
        return inner.split(",") if "," in inner else []
    if match.group(4):
        first, last = ord(match.group(4)), ord(match.group(5))
        return [chr(code) for code in range(first, last + (1 if first <= last else -1), 1 if first <= last else -1)]
    first, last = int(match.group(1)), int(match.group(2))
    step = abs(int(match.group(3) or 1)) or 1
    width = max(len(part.lstrip("-")) for part in match.group(1, 2)) if re.match(r"-?0\d", inner) else 0
    numbers = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
    return [str(number).zfill(width) for number in numbers[:_MOST]]
