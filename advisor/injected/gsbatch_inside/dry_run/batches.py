"""What a script reads: sources of samples, passes over them, and the batches that these give."""

from typing import Dict, Hashable, Optional


class Source:
    """What batches are read from: a loader, or a data set cut into batches. None is not known.

    Args:
        samples: of a whole pass.
        batches: of a whole pass.
        batch: samples of a batch.
        stock: samples that there are, where a pass may draw some of them several times.
        workers: processes that load its batches.
        identity: tells data sets apart where a script makes a new loader for every pass.
        published: the data are not on this machine; their size is the published one.
        made_up: the data are not on this machine and their size is a guess. Facts that depend on it stay unknown.
    """

    def __init__(
        self,
        *,
        samples: Optional[int],
        batches: Optional[int],
        batch: Optional[int],
        stock: Optional[int] = None,
        workers: Optional[int] = None,
        identity: Hashable = None,
        published: bool = False,
        made_up: bool = False,
    ) -> None:
        self.samples = samples
        self.batches = batches
        self.batch = batch
        self.stock = stock
        self.workers = workers
        self.identity = identity
        self.published = published
        self.made_up = made_up
        self.passes = 0
        self.training_passes = 0


class Pass:
    """One reading of a source. ``batch`` is what was last read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.batch = Batch(0)
        self.is_training = False
        self.is_fresh = False  # whether a batch was read since gradients were last computed


class Batch:
    """Samples that are worked on together.

    ``rows`` is how many there are in the job. ``given`` is how many stand for them in the dry run, 0 where that is not
    known. ``whole`` is the pass that the batch is part of, None where it was read from nothing that is known.

    ``steps`` are the steps on this batch by optimizer, ``most`` is the largest of these numbers. Two optimizers that
    each take a step on a batch train on its samples once; one that takes two steps trains on them twice.
    """

    __slots__ = ("given", "most", "rows", "steps", "whole")

    def __init__(self, rows: int, given: int = 0, whole: Optional[Pass] = None) -> None:
        self.rows = rows
        self.given = given
        self.whole = whole
        self.steps: Dict[Hashable, int] = {}
        self.most = 0
