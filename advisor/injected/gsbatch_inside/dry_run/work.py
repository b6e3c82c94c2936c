"""What a script does with its batches: work, which is gradients and their cost, and the kinds of training step."""

import collections
from typing import Any, Callable, Dict, Hashable, List, NamedTuple, Optional, Set, Tuple

from .batches import Batch, Source
from .loops import Loop


class Work(NamedTuple):
    """Gradients of a batch. None is not known.

    Args:
        batch: whose gradients they are.
        flops: of the forward and backward passes.
        forward: FLOPs of the forward pass alone.
        network: identifies the network that was trained.
        again: whether the network was given the same tensors before.
        detail: the adapter's own; it is found in ``Kind.details`` when the kind is described.
    """

    batch: Batch
    flops: Optional[float]
    forward: Optional[float] = None
    network: Hashable = None
    again: bool = False
    detail: Any = None


class Kind:
    """Training steps that are alike: taken by the same optimizers, or by the same code.

    ``describe`` gives facts of the networks that the steps train.
    """

    def __init__(self, number: int, describe: Callable[["Kind"], Dict[str, Any]]) -> None:
        self.number = number
        self.describe = describe
        self.facts: Dict[str, Any] = {}  # those that do not change
        self.described: Dict[str, Any] = {}  # what ``describe`` gave when an optimizer took its first step
        self.details: List[Any] = []
        self.optimizers: Dict[Hashable, Hashable] = {}  # and what each of them trains
        self.first_optimizer = 0
        self.first = self.last = 0
        self.nest: List[Loop] = []
        self.source: Optional[Source] = None
        self.rows = 0
        self.works = self.on_new_data = 0
        self.networks: Set[Hashable] = set()
        self.is_counted = True
        self.has_forward = False
        self.per_step: Dict[int, int] = collections.Counter()
        self.batches_per_step: Optional[int] = None  # where the adapter knows it
        self.steps_are_known = True
        self.epoch_samples: Optional[int] = None  # where the adapter knows them
        self.weights: Dict[int, int] = {}  # elements of each weight, by its identity
        self.trained: Dict[int, int] = {}  # the same for the weights that are trained

    def key(self, what: str) -> Tuple[str, int]:
        """The tally's key for what this kind does."""
        return what, self.number


def stated(kind: Kind) -> Dict[str, Any]:
    """The facts of a kind that do not change."""
    return kind.facts
