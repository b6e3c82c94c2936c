"""Whether jobs can be placed on a node, from Slurm's state words and flags. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

# Flags that keep jobs off, strongest first, in the words of a person. A node that is planned, powered down (a cloud
# node that Slurm starts when a job needs it), powering up, completing or about to reboot takes jobs sooner or later.
_UNUSABLE = {
    "INVAL": "misconfigured (Slurm says INVAL)",
    "INVALID": "misconfigured (Slurm says INVAL)",
    "INVALID_REG": "misconfigured (Slurm says INVALID_REG)",
    "FUTURE": "not in service yet",
    "DOWN": "down",
    "ERROR": "in error",
    "FAIL": "failing",
    "FAILING": "failing",
    "NOT_RESPONDING": "not responding",
    "DRAIN": "drained",
    "DRAINED": "drained",
    "DRAINING": "drained",
    "MAINT": "in maintenance",
    "RESERVED": "reserved",
    "UNKNOWN": "in a state unknown to Slurm",
}
_COMPACT_SUFFIXES = {"*": "NOT_RESPONDING", "$": "MAINT"}
_COMPACT_HARMLESS = "~#!%@^-+"


def unavailable_reason(state: Sequence[str], reason: str | None) -> str | None:
    """Say why jobs cannot be placed on a node in this state; None where they can.

    Args:
        state: the words of Slurm's ``State=``, such as ``("IDLE", "DRAIN")`` or ``("DOWN*",)``.
        reason: what the administrator wrote down.
    """
    flags = set()
    for word in state:
        stem = word.upper().rstrip("".join(_COMPACT_SUFFIXES) + _COMPACT_HARMLESS)
        flags |= {stem, *(flag for suffix, flag in _COMPACT_SUFFIXES.items() if suffix in word[len(stem) :])}
    for flag, words in _UNUSABLE.items():
        if flag in flags:
            return f"{words}: {reason}" if reason else words
    return None
