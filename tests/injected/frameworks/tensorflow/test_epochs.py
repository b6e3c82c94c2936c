"""Epoch marks of a custom TensorFlow loop, seen from outside, through the whole recorder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.injected.recorded import record, rows

pytestmark = pytest.mark.tensorflow

TRAINING = """
import keras
import tensorflow as tf

x, y = tf.zeros((100, 4)), tf.zeros((100, 1))
data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
held_out = tf.data.Dataset.from_tensor_slices((x[:30], y[:30])).batch(10)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])

def step_of(optimizer):
    @tf.function
    def step(a, b):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(a, training=True) - b) ** 2)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    return step

for a, b in data: pass  # statistics of the data
step = step_of(keras.optimizers.SGD())
for epoch in range(2):
    for number, (a, b) in enumerate(data):
        step(a, b)
        if number == 3:
            for c, d in held_out: model(c)
    for c, d in held_out: model(c)
step = step_of(keras.optimizers.Adam())
for epoch in range(2):
    for number, (a, b) in enumerate(data):
        if number == 4: break
        step(a, b)
"""


def test_passes_over_data_sets_are_epochs(tmp_path: Path) -> None:
    """Compiled steps are counted, validation is told apart, inside an epoch it is part of it, loops may be left."""
    done, trace = record(TRAINING, tmp_path, KERAS_BACKEND="tensorflow")

    assert 0 == done.returncode, done.stderr
    assert [
        (0, 0, 7, 100, False), (0, 0, None, 30, True), (0, 1, 7, 100, False), (0, 1, None, 30, True),
    ] == rows(trace)[:4]  # fmt: skip
    # The batch that made the loop end was read, and not trained with.
    assert [
        (1, 0, 4, 80, False), (1, 1, 4, 80, False),
    ] == rows(trace)[4:]  # fmt: skip
