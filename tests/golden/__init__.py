"""Rendered scripts that a person has read: compared whole, never written by a test."""

from __future__ import annotations

from pathlib import Path


def golden(name: str) -> str:
    """The text that a test expects; a missing file is a failure, to be written by hand or copied after reading."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
