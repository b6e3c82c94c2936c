"""Epochs of Transformers' Trainer. It evaluates after an epoch, and the passes over the data show that evaluation."""

import functools

from ...epochs.stop_word import Way
from .epochs import Epochs, training


def attach(module, session):
    """``transformers.trainer``."""

    class EpochMarks(module.TrainerCallback):
        def __init__(self):
            self._epochs = Epochs(session.sender)
            self.read = session.guard(self._epochs.read)

        @session.guard
        def on_epoch_begin(self, args, state, control, **_):
            wanted = state.num_train_epochs
            self._epochs.begin(_whole(state.epoch), state.global_step, int(wanted) if wanted else None)

        @session.guard
        def on_log(self, args, state, control, logs=None, **_):
            self._epochs.report(logs)  # an evaluation comes after its epoch, so it counts for the next

        @session.guard
        def on_epoch_end(self, args, state, control, **_):
            stop = functools.partial(setattr, control, "should_training_stop", True)
            way = Way("transformers", stop, args.world_size)
            self._epochs.end(max(_whole(state.epoch) - 1, 0), state.global_step, way)

    def prepare(trainer):
        marks = EpochMarks()
        trainer.add_callback(marks)
        step = trainer.training_step
        had_own = "training_step" in vars(trainer)

        @functools.wraps(step)
        def training_step(model, inputs, *args, **kwargs):
            marks.read(inputs, trainer.args.world_size)
            return step(model, inputs, *args, **kwargs)

        def undo():
            trainer.remove_callback(marks)
            if had_own:
                trainer.training_step = step
            else:
                del trainer.training_step

        trainer.training_step = training_step
        return undo

    module.Trainer.train = training(session, module.Trainer.train, prepare)


def _whole(epoch):
    """Transformers counts epochs in fractions; the last one may end a little short."""
    return round(epoch or 0)
