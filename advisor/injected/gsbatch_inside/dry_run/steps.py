"""Training steps whose cost is known once one call is described: later calls are only counted."""

from typing import Any, Dict, Hashable, Optional

from .batches import Batch
from .ledger import Ledger
from .work import Work, stated


class Step:
    """One kind of training step, by what one call of it does to ``rows`` samples.

    FLOPs are those of a call; None is not known. ``batch_is_argument`` is whether the size of a call's arguments says
    how many samples it sees.
    """

    def __init__(
        self,
        ledger: Ledger,
        facts: Dict[str, Any],
        *,
        rows: float,
        forward: Optional[float],
        training: Optional[float],
    ) -> None:
        self._ledger = ledger
        self._forward = forward
        self._training = training
        self.rows = rows
        self.batch_is_argument = False
        self.kind = ledger.kind(stated)
        self.kind.facts = dict(facts, batch_size=rows or None)

    def taken(self, rows: float, updates: Dict[Hashable, int], *, is_one_batch: bool = True) -> None:
        """The step was taken on so many samples; ``updates`` are the steps of each optimizer in it."""
        is_first = not self.kind.first
        batch = self._ledger.batch(round(rows)) if is_one_batch else Batch(round(rows))
        share = rows / self.rows if self.rows else 1.0
        forward = None if self._forward is None else self._forward * share
        training = None if self._training is None else self._training * share
        self._ledger.taken(self.kind, Work(batch, training, forward), updates)
        if is_first:
            self._ledger.tell(self.kind)
