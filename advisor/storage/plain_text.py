"""Texts that users wrote, made safe where they come in: for a terminal, a database, CSV and HTML alike.

JSON can hold halves of characters, which no database stores, and control and direction characters, which steer a
terminal. They are replaced by backslash escapes that show what stood there. What is plain already stays as it is.
"""

from __future__ import annotations

from typing import Any

# Spreadsheets run a cell that begins with one of these as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def escaped(text: str) -> str:
    r"""The text with every character that is not printable as ``\x1b``, ``\u202e`` or ``\ud800``."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def all_escaped(plain: Any) -> Any:
    """A value that JSON held, with all its texts, names of fields too, escaped.

    Raises:
        RecursionError: it is nested as deep as JSON can be read.
    """
    if isinstance(plain, str):
        return escaped(plain)
    if isinstance(plain, list):
        return [all_escaped(item) for item in plain]
    if isinstance(plain, dict):
        return {escaped(name): all_escaped(value) for name, value in plain.items()}
    return plain


def may_need_escapes(json_text: str) -> bool:
    """Whether JSON can hold a text that is not plain: it must, as most does not, have an escape or more than ASCII."""
    return "\\" in json_text or not json_text.isascii() or "\x7f" in json_text


def cell(value: object) -> object:
    """A value for CSV: a text that a spreadsheet would take for a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
