"""Text that users wrote, made safe to print."""

from __future__ import annotations


def printable(text: str) -> str:
    """A text that users wrote, without what could steer a terminal: file names and model names may hold escapes."""
    return "".join(character if character.isprintable() else "?" for character in text)
