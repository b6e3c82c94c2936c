"""Epoch marks of real Keras trainings on TensorFlow, seen from outside, through the whole recorder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.injected.recorded import record, rows

pytestmark = pytest.mark.tensorflow

START = """
import sys
import numpy as np, keras, tensorflow as tf
x, y = np.zeros((100, 4), "float32"), np.zeros((100, 1), "float32")
"""
FITS = """
class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            self.model.stop_training = True

class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
    def call(self, x):
        return self.dense(x)

model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, epochs=3, batch_size=10, validation_split=0.2, verbose=0)
model.fit(x, y, None, 9, 0, [Stop()])
own = Own()
own.compile("adam", "mse")
own.fit(tf.data.Dataset.from_tensor_slices((x, y)).batch(25), epochs=2, verbose=0, callbacks=Stop())
try:
    own.fit(x, y, no_such_argument=1)
except TypeError:
    print("own error", file=sys.stdout)
"""


FINE_TUNING = """
inputs = keras.Input((4,))
base = keras.layers.Dense(8)
model = keras.Model(inputs, keras.layers.Dense(1)(base(inputs)))
base.trainable = False
model.compile("adam", "mse")
model.fit([x], y, epochs=2, batch_size=20, verbose=0)
base.trainable = True
model.compile(keras.optimizers.SGD(1e-5), "mse")
model.fit([x], y, epochs=4, initial_epoch=2, batch_size=20, validation_data=(x, y), verbose=0)
"""
STREAMS = """
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse", steps_per_execution=2)
def batches():
    while True: yield x[:10], y[:10]
model.fit(batches(), steps_per_epoch=6, epochs=2, verbose=0)
class Rows(keras.utils.PyDataset):
    def __len__(self): return 5
    def __getitem__(self, index): return x[:20], y[:20]
model.fit(Rows(), epochs=1, verbose=0)
model.fit(tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(8), steps_per_epoch=4, epochs=1, verbose=0)
model.fit(x, y, batch_size=10, steps_per_epoch=4, epochs=1, verbose=0)
"""


def test_every_fit_is_a_phase_with_its_epochs_steps_and_samples(tmp_path: Path) -> None:
    """Sequential and subclassed models, positional callbacks, early stopping and a call with a mistake."""
    done, trace = record(START + FITS, tmp_path, KERAS_BACKEND="tensorflow")

    assert (0, "own error\n") == (done.returncode, done.stdout), done.stderr
    assert [
        (0, 0, 8, 80, False), (0, 1, 8, 80, False), (0, 2, 8, 80, False),
        (1, 0, 4, 100, False), (1, 1, 4, 100, False),
        (2, 0, 4, None, False), (2, 1, 4, None, False),
    ] == rows(trace)  # fmt: skip
    assert all(epoch.started_at < epoch.ended_at for epoch in trace.epochs)


def test_fine_tuning_in_two_phases(tmp_path: Path) -> None:
    """A functional model with a frozen base, then whole from its third epoch on, validated inside the epoch."""
    done, trace = record(START + FINE_TUNING, tmp_path, KERAS_BACKEND="tensorflow")

    assert 0 == done.returncode, done.stderr
    assert [
        (0, 0, 5, 100, False), (0, 1, 5, 100, False), (1, 2, 5, 100, False), (1, 3, 5, 100, False),
    ] == rows(trace)  # fmt: skip


def test_streams_show_their_epochs_and_steps(tmp_path: Path) -> None:
    """Generators and data sets keep their samples to themselves: epochs and steps are right, samples are None."""
    done, trace = record(START + STREAMS, tmp_path, KERAS_BACKEND="tensorflow")

    assert 0 == done.returncode, done.stderr
    assert [
        (0, 0, 6, None, False), (0, 1, 6, None, False), (1, 0, 5, None, False),
        (2, 0, 4, None, False), (3, 0, 4, 40, False),
    ] == rows(trace)  # fmt: skip
