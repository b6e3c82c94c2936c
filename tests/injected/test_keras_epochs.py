"""Epoch marks of a real Keras training, seen from outside, through the whole recorder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.telemetry.reading import parse_trace

pytestmark = pytest.mark.tensorflow

TRAINING = """
import sys
import numpy as np, keras, tensorflow as tf

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

x, y = np.zeros((100, 4), "float32"), np.zeros((100, 1), "float32")
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


def test_every_fit_is_a_phase_with_its_epochs_steps_and_samples(tmp_path: Path) -> None:
    """Sequential and subclassed models, positional callbacks, early stopping and a call with a mistake."""
    script = tmp_path / "train.py"
    script.write_text(TRAINING, encoding="utf-8")
    recorder = [sys.executable, "-I", "-m", "advisor.telemetry.recorder", "--spool", str(tmp_path / "spool")]
    done = subprocess.run(
        [*recorder, "--", sys.executable, str(script)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    (path,) = (tmp_path / "spool").iterdir()
    epochs = parse_trace(path.read_text(encoding="utf-8")).epochs

    assert (0, "own error\n") == (done.returncode, done.stdout), done.stderr
    assert [
        (0, 0, 8, 80), (0, 1, 8, 80), (0, 2, 8, 80),
        (1, 0, 4, 100), (1, 1, 4, 100),
        (2, 0, 4, None), (2, 1, 4, None),
    ] == [(epoch.phase, epoch.index, epoch.steps, epoch.samples) for epoch in epochs]  # fmt: skip
    assert all(epoch.started_at < epoch.ended_at for epoch in epochs)
