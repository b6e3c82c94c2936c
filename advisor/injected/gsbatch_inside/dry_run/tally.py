"""What the training has done so far, as if every loop had run to its end: loops.py adds what it passes over."""

import collections
from typing import Any, Dict, Hashable, List

_counts: Dict[Hashable, int] = collections.Counter()
_executed: Dict[Hashable, int] = collections.Counter()
_incomplete: List[str] = []


def add(key: Hashable, number: int = 1) -> None:
    """Count something that was really done."""
    _counts[key] += number
    _executed[key] += number


def add_passed_over(key: Hashable, number: int) -> None:
    """Count what a loop would have done in the iterations that were passed over."""
    _counts[key] += number


def count(key: Hashable) -> int:
    """How often in all."""
    return _counts.get(key, 0)


def executed(key: Hashable) -> int:
    """How often really, in this dry run."""
    return _executed.get(key, 0)


def snapshot() -> Dict[Any, int]:
    """All counts as they stand."""
    return dict(_counts)


def forget_the_end(reason: str) -> None:
    """A loop's length could not be found out: totals are not known."""
    _incomplete.append(reason)


def incomplete() -> List[str]:
    """Why totals are not known; empty where they are."""
    return list(_incomplete)
