"""Dry runs of training loops over tf.GradientTape: totals as if every step had been taken, FLOPs as counted by hand."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from advisor.inspection.dry_run import dry_run

pytestmark = pytest.mark.tensorflow

COMPILED = """
import numpy as np
import tensorflow as tf
model = tf.keras.Sequential([tf.keras.layers.Dense(64, activation="relu"), tf.keras.layers.Dense(3)])
optimizer = tf.keras.optimizers.SGD(0.1)
x, y = np.zeros((130, 20), "float32"), np.zeros(130, "int64")
data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(130).batch(16)
validation = tf.data.Dataset.from_tensor_slices((x[:40], y[:40])).batch(16)
@tf.function
def train_step(a, b):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(b, model(a, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss
@tf.function
def test_step(a):
    return model(a, training=False)
for epoch in range(300):
    for a, b in data:
        loss = train_step(a, b)
    for a, b in validation:
        test_step(a)
"""

EAGER = """
import tensorflow as tf
base = tf.keras.Sequential([tf.keras.layers.Input((8, 8, 3)), tf.keras.layers.Conv2D(4, 3)])
base.trainable = False
model = tf.keras.Sequential([base, tf.keras.layers.Flatten(), tf.keras.layers.Dense(5)])
optimizer, mean = tf.keras.optimizers.Adam(), tf.keras.metrics.Mean()
data = tf.data.Dataset.from_tensor_slices((tf.zeros((50, 8, 8, 3)), tf.zeros((50, 5)))).batch(20)
for epoch in range(6):
    for a, b in data:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(a) - b) ** 2)
        gradients = [tf.clip_by_norm(one, 1.0) for one in tape.gradient(loss, model.trainable_variables)]
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        mean.update_state(loss)
    print(float(mean.result()), loss.numpy())
"""

GAN = """
import tensorflow as tf
layers = tf.keras.layers
generator = tf.keras.Sequential([layers.Input((10,)), layers.Dense(100)])
discriminator = tf.keras.Sequential([layers.Input((100,)), layers.Dense(1)])
one, other = tf.keras.optimizers.Adam(), tf.keras.optimizers.Adam()
@tf.function
def train_step(images):
    noise = tf.random.normal([25, 10])
    with tf.GradientTape() as first, tf.GradientTape() as second:
        made = generator(noise)
        fake, real = discriminator(made), discriminator(images)
        loss, other_loss = tf.reduce_mean(fake), tf.reduce_mean(real) - tf.reduce_mean(fake)
    g, d = generator.trainable_variables, discriminator.trainable_variables
    one.apply_gradients(zip(first.gradient(loss, g), g))
    other.apply_gradients(zip(second.gradient(other_loss, d), d))
data = tf.data.Dataset.from_tensor_slices(tf.zeros((100, 100))).batch(25)
for epoch in range(3):
    for images in data:
        train_step(images)
"""

STEPS = """
import tensorflow as tf
strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    optimizer = tf.keras.optimizers.RMSprop()
data = tf.data.Dataset.from_tensor_slices(tf.zeros((500, 32))).repeat().batch(50)
iterator = iter(strategy.experimental_distribute_dataset(data))
def one_step(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(x))
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    return loss
@tf.function
def steps(iterator, number):
    for _ in tf.range(number):
        strategy.run(one_step, args=(next(iterator),))
done = 0
while done < 3000:
    steps(iterator, tf.constant(100))
    done += 100
"""

ACCUMULATED = """
import tensorflow as tf
model = tf.keras.Sequential([tf.keras.layers.Input((20,)), tf.keras.layers.Dense(3)])
optimizer = tf.keras.optimizers.SGD(0.1)
gathered = [tf.Variable(tf.zeros_like(one)) for one in model.trainable_variables]
@tf.function
def gather(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(x))
    for one, change in zip(gathered, tape.gradient(loss, model.trainable_variables)):
        one.assign_add(change)
    return loss
@tf.function
def update():
    optimizer.apply_gradients(zip(gathered, model.trainable_variables))
for epoch in range(5):
    for number, x in enumerate(tf.data.Dataset.from_tensor_slices(tf.zeros((160, 20))).batch(10)):
        gather(x)
        if (number + 1) % 4 == 0:
            update()
"""

SOMETIMES = """
import tensorflow as tf
model = tf.keras.Sequential([tf.keras.layers.Input((20,)), tf.keras.layers.Dense(3)])
optimizer = tf.keras.optimizers.SGD(0.1)
count = tf.Variable(0)
@tf.function
def step(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(x))
    gradients = tape.gradient(loss, model.trainable_variables)
    if count.assign_add(1) % 4 == 0:
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss
for epoch in range(5):
    for x in tf.data.Dataset.from_tensor_slices(tf.zeros((160, 20))).batch(10):
        step(x)
"""


def facts_of(script: Path, text: str, interpreter: str = sys.executable) -> Mapping[str, Any]:
    """Facts of the one phase that the script has."""
    script.write_text(text, encoding="utf-8")
    found = dry_run(script, (), interpreter=(interpreter,), environment=dict(os.environ), unconfined=True)
    assert "end" == found.ended, found
    with_extent = [phase for phase in found.phases if "steps" in phase]
    assert 1 == len(with_extent), found
    return with_extent[0]


def test_compiled_step_is_counted_not_taken(tmp_path: Path) -> None:
    """A short last batch counts as what it is, evaluation is no training, a layer built in the trace counts once."""
    facts = facts_of(tmp_path / "compiled.py", COMPILED)

    forward = 2 * (20 * 64 + 64 * 3)
    assert (300, 130, 40) == (facts["epochs"], facts["train_samples"], facts["validation_samples"])
    assert (2700, 16, "sgd") == (facts["steps"], facts["batch_size"], facts["optimizer"])
    assert (1539, 2) == (facts["parameters"], facts["layers"])
    assert forward == facts["forward_flops_per_sample"]
    assert 3 * forward - 2 * 20 * 64 == facts["training_flops_per_sample"]


def test_eager_step_goes_on_with_stand_ins(tmp_path: Path) -> None:
    """Losses, clipping and metrics go on eagerly; a frozen part costs its forward pass only."""
    facts = facts_of(tmp_path / "eager.py", EAGER)

    convolution, dense = 2 * 6 * 6 * 4 * 27, 2 * 6 * 6 * 4 * 5
    assert (6, 50, 20, 18) == tuple(facts[name] for name in ("epochs", "train_samples", "batch_size", "steps"))
    assert convolution + dense == facts["forward_flops_per_sample"]
    assert convolution + 2 * dense == facts["training_flops_per_sample"]
    assert (112 + 725, 725) == (facts["parameters"], facts["trainable_parameters"])


def test_both_networks_of_a_gan_are_counted(tmp_path: Path) -> None:
    """Each gradient goes only as far back as its own variables."""
    facts = facts_of(tmp_path / "gan.py", GAN)

    generator, discriminator = 2 * 10 * 100, 2 * 100
    forward = generator + 2 * discriminator
    assert (1100 + 101, 1100 + 101) == (facts["parameters"], facts["trainable_parameters"])
    assert forward == facts["forward_flops_per_sample"]
    assert forward + (discriminator + generator) + 2 * discriminator == facts["training_flops_per_sample"]
    assert (12, 3, 100) == (facts["steps"], facts["epochs"], facts["train_samples"])


def test_steps_inside_of_one_call_are_all_counted(tmp_path: Path) -> None:
    """A loop inside of a function goes round as often as its argument says; the strategy is one device here."""
    facts = facts_of(tmp_path / "steps.py", STEPS)

    assert (3000, 50) == (facts["steps"], facts["batch_size"])
    assert 150000 == facts["epochs"] * facts["train_samples"]
    assert 2 * 32 == facts["forward_flops_per_sample"]


def test_gradients_gathered_over_batches_are_one_step(tmp_path: Path) -> None:
    """Gradients and the optimizer's step may be functions of their own."""
    facts = facts_of(tmp_path / "accumulated.py", ACCUMULATED)

    assert (20, 4, "sgd") == (facts["steps"], facts["gradient_accumulation"], facts["optimizer"])
    assert (5, 160, 10) == (facts["epochs"], facts["train_samples"], facts["batch_size"])


def test_steps_under_a_condition_of_the_graph_are_not_known(tmp_path: Path) -> None:
    """Whether a batch ends in a step is decided by values that no dry run has: better unknown than wrong."""
    script = tmp_path / "sometimes.py"
    script.write_text(SOMETIMES, encoding="utf-8")
    found = dry_run(script, (), interpreter=(sys.executable,), environment=dict(os.environ), unconfined=True)
    (facts,) = found.phases

    assert (5, 160, 10) == (facts["epochs"], facts["train_samples"], facts["batch_size"])
    assert not {"steps", "gradient_accumulation"} & set(facts)
    assert any("how often" in note for note in found.notes)
