"""What the callbacks share that mark the epochs of Lightning's and of Transformers' Trainer.

Lightning validates inside an epoch. Transformers evaluates after an epoch, which the passes over the data then show.
"""

import functools

from ...epochs.passes import samples_of
from ...epochs.stop_word import numbers


class Epochs:
    """What both callbacks share: marks with the steps of one epoch, the batches of one and what it measured."""

    def __init__(self, sender):
        self._sender = sender
        self._phase = sender.new_phase()
        self._steps_before = 0
        self._samples = 0
        self._countable = True
        self._metrics = {}

    def begin(self, index, steps, wanted):
        self._steps_before, self._samples, self._countable = steps, 0, True
        self._sender.begin_framework_epoch(self._phase, index, wanted)

    def read(self, batch, processes):
        size = samples_of(batch)
        self._countable = self._countable and size is not None
        self._samples += (size or 0) * processes

    def report(self, metrics):
        if self._sender.asks:
            self._metrics.update(numbers(metrics))

    def end(self, index, steps, way):
        samples = self._samples if self._countable and self._samples else None
        facts = {"steps": steps - self._steps_before, "samples": samples, "metrics": self._metrics}
        self._sender.end_framework_epoch(self._phase, index, way, **facts)


def training(session, original, prepare):
    """``original`` with a callback added by ``prepare``; meanwhile, passes over data mark no epochs of their own."""
    sender, prepare = session.sender, session.guard(prepare)

    @functools.wraps(original)
    def train(self, *args, **kwargs):
        undo = prepare(self)
        if undo is None:
            return original(self, *args, **kwargs)
        sender.begin_framework_training()
        try:
            return original(self, *args, **kwargs)
        finally:
            sender.end_framework_training()
            session.guard(undo)()

    return train
