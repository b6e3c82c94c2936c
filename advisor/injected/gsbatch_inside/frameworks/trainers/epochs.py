"""Epochs of Lightning's and of Transformers' Trainer, by a callback of their own kind.

Lightning validates inside an epoch; Transformers evaluates after it, which the passes over the data then show.
"""

import functools

from ...epochs.passes import samples_of
from ...epochs.stop_word import Way, numbers


class _Epochs:
    """What both callbacks share: marks with the steps of one epoch, and never an exception."""

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


def _guarded(method):
    @functools.wraps(method)
    def call(*args, **kwargs):
        try:
            method(*args, **kwargs)
        except Exception:
            pass  # an epoch that is not marked is better than a training that ends

    return call


def _training(sender, original, prepare):
    """``original`` with a callback added before, while which the passes over data mark no epochs of their own."""

    @functools.wraps(original)
    def train(self, *args, **kwargs):
        try:
            undo = prepare(self)
        except Exception:
            return original(self, *args, **kwargs)
        sender.framework_trains += 1
        try:
            return original(self, *args, **kwargs)
        finally:
            sender.framework_trains -= 1
            sender.framework_epoch_open = False
            _guarded(undo)()

    return train


def hook_lightning(trainer_module, callback_class, sender):
    """Wrap ``Trainer.fit`` of ``lightning.pytorch`` or ``pytorch_lightning``."""

    class EpochMarks(callback_class):
        def __init__(self):
            super().__init__()
            self._epochs = _Epochs(sender)

        @_guarded
        def on_train_epoch_start(self, trainer, *_):
            wanted = trainer.max_epochs
            self._epochs.begin(trainer.current_epoch, trainer.global_step, wanted if wanted and wanted > 0 else None)

        @_guarded
        def on_train_batch_start(self, trainer, module, batch, *_):
            self._epochs.read(batch, trainer.world_size)

        @_guarded
        def on_train_epoch_end(self, trainer, *_):
            self._epochs.report(trainer.callback_metrics)
            stop = functools.partial(setattr, trainer, "should_stop", True)
            way = Way("lightning", stop, trainer.world_size)
            self._epochs.end(trainer.current_epoch, trainer.global_step, way)

    def prepare(trainer):
        marks = EpochMarks()
        trainer.callbacks.append(marks)
        return lambda: trainer.callbacks.remove(marks)

    trainer_module.Trainer.fit = _training(sender, trainer_module.Trainer.fit, prepare)


def hook_transformers(trainer_module, sender):
    """Wrap ``transformers.Trainer.train``."""

    class EpochMarks(trainer_module.TrainerCallback):
        def __init__(self):
            self._epochs = _Epochs(sender)
            self.read = _guarded(self._epochs.read)

        @_guarded
        def on_epoch_begin(self, args, state, control, **_):
            wanted = state.num_train_epochs
            self._epochs.begin(_whole(state.epoch), state.global_step, int(wanted) if wanted else None)

        @_guarded
        def on_log(self, args, state, control, logs=None, **_):
            self._epochs.report(logs)  # an evaluation comes after its epoch, so it counts for the next

        @_guarded
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

    trainer_module.Trainer.train = _training(sender, trainer_module.Trainer.train, prepare)


def _whole(epoch):
    """Transformers counts epochs in fractions; the last one may end a little short."""
    return round(epoch or 0)
