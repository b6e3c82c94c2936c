"""Epochs of Lightning's Trainer. Its validation is inside an epoch."""

import functools

from ...epochs.stop_word import Way
from .epochs import Epochs, training


def attach(module, session):
    """``lightning.pytorch`` or ``pytorch_lightning``."""

    class EpochMarks(module.Callback):
        def __init__(self):
            super().__init__()
            self._epochs = Epochs(session.sender)

        @session.guard
        def on_train_epoch_start(self, trainer, *_):
            wanted = trainer.max_epochs
            self._epochs.begin(trainer.current_epoch, trainer.global_step, wanted if wanted and wanted > 0 else None)

        @session.guard
        def on_train_batch_start(self, trainer, network, batch, *_):
            self._epochs.read(batch, trainer.world_size)

        @session.guard
        def on_train_epoch_end(self, trainer, *_):
            self._epochs.report(trainer.callback_metrics)
            stop = functools.partial(setattr, trainer, "should_stop", True)
            way = Way("lightning", stop, trainer.world_size)
            self._epochs.end(trainer.current_epoch, trainer.global_step, way)

    def prepare(trainer):
        marks = EpochMarks()
        trainer.callbacks.append(marks)
        return lambda: trainer.callbacks.remove(marks)

    module.Trainer.fit = training(session, module.Trainer.fit, prepare)
