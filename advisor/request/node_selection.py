"""Which nodes ``--constraint`` and ``--exclude`` allow, as far as that can be judged without Slurm."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

_PLAIN_CONSTRAINT = re.compile(r"[\w.\-]+(([&,][\w.\-]+)*|(\|[\w.\-]+)*)")
# A comma separates names only outside brackets: n[1-3,7],m2.
_NAMES = re.compile(r"(?:\[[^\]]*\]|[^,\[])+")
_BRACKET = re.compile(r"\[([^\]]*)\]")


def is_plain_constraint(constraint: str) -> bool:
    """Whether ``meets`` can judge it: ``a&b`` and ``a|b``, but no brackets, counts or mixtures."""
    return _PLAIN_CONSTRAINT.fullmatch(constraint) is not None


def meets(constraint: str | None, features: Sequence[str]) -> bool:
    """Whether features meet a plain ``--constraint``; any other is Slurm's to judge."""
    if constraint is None or not is_plain_constraint(constraint):
        return True
    if "|" in constraint:
        return any(feature in features for feature in constraint.split("|"))
    return all(feature in features for feature in re.split(r"[&,]", constraint))


def is_listed(node: str, hostlist: str) -> bool:
    """Whether Slurm's host list (``n[1-3,07],m2``) names the node; nothing is expanded, however long a range is."""
    return any(_is_named(node, name.strip()) for name in _NAMES.findall(hostlist))


def listed(hostlist: str) -> int:
    """How many nodes Slurm's host list names; a range that is none counts as one."""
    return sum(
        prod(sum(map(_length, numbers.split(","))) for numbers in _BRACKET.findall(name))
        for name in _NAMES.findall(hostlist)
    )


def _length(part: str) -> int:
    low, _, high = part.partition("-")
    return max(int(high) - int(low) + 1, 1) if low.isdecimal() and high.isdecimal() else 1


def _is_named(node: str, name: str) -> bool:
    parts = _BRACKET.split(name)  # text, range, text, range, ..., text
    pattern = "".join(r"(\d+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
    match = re.fullmatch(pattern, node)
    return match is not None and all(
        any(_is_within(number, part) for part in numbers.split(","))
        for number, numbers in zip(match.groups(), parts[1::2], strict=True)
    )


def _is_within(number: str, part: str) -> bool:
    """Whether ``08`` is in ``01-12``: leading zeros are part of a name."""
    low, dash, high = part.partition("-")
    if not dash:
        return number == part
    if not (low.isdecimal() and high.isdecimal()):
        return False
    return int(low) <= int(number) <= int(high) and number == number.lstrip("0").zfill(len(low))
