"""What the training has done so far, as if every loop had run to its end: iterations passed over are added."""

import collections
from typing import Any, Dict, Hashable, List


class Tally:
    """Counts by key. ``incomplete`` are the reasons why totals are not known; empty where they are."""

    def __init__(self) -> None:
        self._counts: Dict[Hashable, int] = collections.Counter()
        self.incomplete: List[str] = []

    def add(self, key: Hashable, number: int = 1) -> None:
        """Count what was done, or what a loop would have done in the iterations that are passed over."""
        self._counts[key] += number

    def count(self, key: Hashable) -> int:
        """How often in all."""
        return self._counts.get(key, 0)

    def snapshot(self) -> Dict[Any, int]:
        """All counts as they stand."""
        return dict(self._counts)

    def forget_the_end(self, reason: str) -> None:
        """A loop's length could not be found out: totals are not known."""
        self.incomplete.append(reason)
