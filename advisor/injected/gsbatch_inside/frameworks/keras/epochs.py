"""Epochs of ``Model.fit`` in Keras 3 (any back end) and in Keras 2 (tf.keras before TensorFlow 2.16,
``tf_keras``).

A callback is added to every ``fit``; each ``fit`` is a phase. Validation at the end of an epoch is part of it.
"""

import functools
import inspect
import os

from ...epochs.stop_word import Way, numbers


def attach(keras, session):
    """Wrap the ``fit`` that ``keras.Model`` inherits, once."""
    sender = session.sender
    owner = next(kind for kind in keras.Model.__mro__ if "fit" in vars(kind))
    original = owner.fit
    if getattr(original, "_gsbatch_hooked", False):
        return
    bind = session.guard(inspect.signature(original).bind)
    callback_class = _callback_class(keras, session)
    add_callback = session.guard(_add_callback)

    @functools.wraps(original)
    def fit(self, *args, **kwargs):
        bound = bind(self, *args, **kwargs)
        if bound is not None:  # else the call goes on as it was made; its mistakes are Keras's to name
            add_callback(bound.arguments, callback_class)
            args, kwargs = bound.args[1:], bound.kwargs
        sender.begin_framework_training()
        try:
            return original(self, *args, **kwargs)
        finally:
            sender.end_framework_training()

    fit._gsbatch_hooked = True
    owner.fit = fit


def _add_callback(arguments, callback_class):
    callback = callback_class(_Data(arguments))
    given = arguments.get("callbacks")
    if hasattr(given, "append") and not isinstance(given, list):
        given.append(callback)  # a CallbackList
        return
    listed = [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]
    arguments["callbacks"] = listed + [callback]


class _Data:
    """What a call of ``fit`` says of the samples of one epoch, where it says it without reading the data."""

    def __init__(self, arguments):
        x = arguments.get("x")
        self.samples = _loader_samples(x)
        length = _rows(x)
        if length is None:
            return
        split = arguments.get("validation_split") or 0.0
        samples = int(length * (1.0 - split))
        steps = arguments.get("steps_per_epoch")
        batch = arguments.get("batch_size") or 32  # Keras's own default for arrays
        self.samples = samples if steps is None else min(samples, steps * batch)


def _rows(x):
    """The first axis of an array, or of the first array of a list or dictionary; None for data sets and generators."""
    if isinstance(x, dict):
        x = next(iter(x.values()), None)
    elif isinstance(x, (list, tuple)) and x and hasattr(x[0], "shape"):
        x = x[0]
    shape = getattr(x, "shape", None)
    try:
        return int(shape[0])
    except (TypeError, IndexError, ValueError):
        return None


def _loader_samples(x):
    """What one pass over a torch DataLoader yields; None for anything else, and for batches that it does not make."""
    batch = getattr(x, "batch_size", None)
    try:
        samples = len(x.sampler)
        return samples - samples % batch if x.drop_last else samples
    except (AttributeError, TypeError):
        return None


def _optimizer_steps(model):
    """How many steps the optimizer has taken, None where it does not say. Asked once an epoch: it can sync a GPU."""
    iterations = getattr(getattr(model, "optimizer", None), "iterations", None)
    try:
        return int(iterations.numpy() if hasattr(iterations, "numpy") else iterations)
    except Exception:
        return None


def _processes():
    """How many processes train together, as far as their launcher says."""
    if os.environ.get("TF_CONFIG"):
        return 2  # or more
    counts = [os.environ.get(name, "") for name in ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")]
    return max([int(count) for count in counts if count.isdigit()] or [1])


def _callback_class(keras, session):
    sender = session.sender

    class EpochMarks(keras.callbacks.Callback):
        """Marks the epochs of one ``fit``."""

        def __init__(self, data):
            super().__init__()
            self._data = data
            self._phase = 0
            self._steps_before = None
            self._begin, self._end = session.guard(self._begin), session.guard(self._end)

        def on_train_begin(self, logs=None):
            self._phase = sender.new_phase()

        def on_epoch_begin(self, epoch, logs=None):
            self._begin(epoch)

        def on_epoch_end(self, epoch, logs=None):
            self._end(epoch, numbers(logs) if sender.asks else {})

        def _begin(self, epoch):
            self._steps_before = _optimizer_steps(self.model)
            wanted = (self.params or {}).get("epochs")
            sender.begin_framework_epoch(self._phase, int(epoch), None if wanted is None else int(wanted))

        def _end(self, epoch, metrics):
            steps = _optimizer_steps(self.model)
            taken = None if steps is None or self._steps_before is None else steps - self._steps_before
            way = Way("keras", self._stop, _processes())
            facts = {"steps": taken, "samples": self._data.samples, "metrics": metrics}
            sender.end_framework_epoch(self._phase, int(epoch), way, **facts)

        def _stop(self):
            self.model.stop_training = True

    return EpochMarks
