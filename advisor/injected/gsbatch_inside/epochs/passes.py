"""Which passes over data are epochs: bookkeeping without any framework.

A pass is one reading of a loader from its first batch to its last. It is a training pass if gradients were computed
while it was read (with long accumulation a pass can end before its optimizer steps), else an evaluation.

- Of training passes that overlap (two loaders read in step), the first begun is the epoch.
- An evaluation inside an epoch is part of it; one after an epoch is marked as that epoch's validation.
- Passes before the first training (statistics of the data, a sanity check) are nobody's epochs.
- Another optimizer than before begins a new phase: fine-tuning, the next fold.
- While Keras, Lightning or Transformers train, their own callbacks mark the epochs.
"""

import itertools
import time

from .stop_word import Way

_MOST_OPEN = 32
_DEEPEST = 3


class Pass:
    """One reading of one loader."""

    __slots__ = ("backwards", "begun_at", "countable", "ended", "number", "optimizers", "samples", "steps")

    def __init__(self, number):
        self.number = number
        self.begun_at = time.time()
        self.samples = 0
        self.countable = True
        self.steps = 0
        self.backwards = 0
        self.optimizers = set()
        self.ended = False


class Passes:
    """Told of reads, gradients and steps; marks the epochs that they make up.

    Args:
        sender: takes the marks.
        world: called for (rank, processes) of a distributed training.
    """

    def __init__(self, sender, world=lambda: (0, 1)):
        self._sender = sender
        self._world = world
        self._open = {}
        self._read_since_backward = []
        self._latest = None
        self._optimizers = set()
        self._phase = None
        self._index = -1
        self._last_ended_at = 0.0

    def begin(self):
        """A loader is about to be read."""
        begun = Pass(self._sender.new_pass())
        self._open[begun.number] = begun
        while len(self._open) > _MOST_OPEN:  # never finished and never let go
            self._open.pop(next(iter(self._open))).ended = True
        if not self._sender.framework_epoch_open:
            self._sender.send("epoch_begin", 0, 0, pass_number=begun.number)
        return begun

    def open(self):
        """The passes that have not ended."""
        return list(self._open.values())

    def read(self, one, batch):
        """A batch was read; counting its samples looks at shapes only."""
        size = samples_of(batch)
        if size is None:
            one.countable = False
        else:
            one.samples += size
        self._latest = one
        if one not in self._read_since_backward:
            self._read_since_backward.append(one)

    def backward(self):
        """Gradients were computed from what was read since the last time."""
        for one in self._read_since_backward:
            if not one.ended:
                one.backwards += 1
        if self._latest is not None and self._latest not in self._read_since_backward and not self._latest.ended:
            self._latest.backwards += 1
        del self._read_since_backward[:]

    def step(self, optimizer):
        """An optimizer, named by something hashable, took a step."""
        for one in self._open.values():
            if one.backwards:
                one.steps += 1
                one.optimizers.add(optimizer)

    def end(self, one):
        """The pass is over: its loader ran out, or nobody reads it any more."""
        if one.ended:
            return
        one.ended = True
        self._open.pop(one.number, None)
        if self._latest is one:
            self._latest = None
        if one.backwards:
            self._end_training(one)
        else:
            self._end_evaluation(one)

    def _end_training(self, one):
        overlapped = one.begun_at < self._last_ended_at or any(
            other.backwards and other.number < one.number for other in self._open.values()
        )
        if overlapped or self._sender.framework_trains:
            return
        if self._phase is None or (one.optimizers and not one.optimizers & self._optimizers):
            self._phase, self._index = self._sender.new_phase(), -1
        self._optimizers = one.optimizers or self._optimizers
        self._index += 1
        self._last_ended_at = time.time()
        self._send_end(one, self._phase, self._index, validation=False)

    def _end_evaluation(self, one):
        if self._sender.framework_trains:  # its training loader may stay open, and unread, while it evaluates
            inside, latest = self._sender.framework_epoch_open, self._sender.framework_epoch
        else:
            inside = any(other.backwards for other in self._open.values())
            latest = None if self._phase is None else (self._phase, self._index)
        if inside or latest is None:
            return
        self._send_end(one, latest[0], latest[1], validation=True)

    def _send_end(self, one, phase, index, validation):
        rank, processes = self._world()
        if rank:
            return
        samples = one.samples * processes if one.countable and one.samples else None
        steps = None if validation else one.steps
        facts = {"pass_number": one.number, "steps": steps, "samples": samples, "validation": validation}
        if validation:
            self._sender.send("epoch_end", phase, index, **facts)
        else:
            way = Way("a loop of the script's own", None, processes)
            self._sender.end_epoch(phase, index, way, one.begun_at, **facts)


def samples_of(batch, depth=0):
    """The first axis of the first array in nested lists, tuples and dictionaries; None where there is none."""
    shape = getattr(batch, "shape", None)
    if shape is not None:
        try:
            return int(shape[0])
        except (TypeError, IndexError, ValueError):
            return None
    if depth > _DEEPEST:
        return None
    if hasattr(batch, "values") and hasattr(batch, "keys"):
        parts = list(batch.values())
    elif isinstance(batch, (list, tuple)):
        parts = batch
    else:
        return None
    for part in itertools.islice(parts, 8):
        size = samples_of(part, depth + 1)
        if size is not None:
            return size
    return (
        len(parts) if parts and isinstance(batch, (list, tuple)) and isinstance(parts[0], (str, int, float)) else None
    )
