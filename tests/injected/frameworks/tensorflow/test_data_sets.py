"""Data sets of tensorflow_datasets that are not on this machine: the published size where there is one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from advisor.inspection.dry_run import dry_run

pytest.importorskip("tensorflow_datasets")
pytestmark = pytest.mark.tensorflow

FIT = """
import tensorflow as tf
import tensorflow_datasets as tfds
{data}
prepare = lambda x, y: (tf.image.resize(tf.cast(x, tf.float32), (20, 20)) / 255.0, y)
train = train.map(prepare).shuffle(100).batch(50)
model = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(classes)])
model.compile("sgd", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(train, epochs=4)
"""
SPLIT = """
(train, held), info = tfds.load("tf_flowers", split=["train[:80%]", "train[80%:]"], as_supervised=True, with_info=True)
classes = info.features["label"].num_classes
"""
WHOLE = """
data, info = tfds.load("cats_vs_dogs", with_info=True)
train, classes = data["train"].map(lambda one: (one["image"], one["label"])), 2
assert info.splits["train"].num_examples == 23262
"""
BUILDER = """
builder = tfds.builder("horses_or_humans")
builder.download_and_prepare()
train, classes = builder.as_dataset(split="train[-1000:]+test", as_supervised=True), 2
"""
UNKNOWN = """
train, info = tfds.load("citrus_leaves", split="train", as_supervised=True, with_info=True)
classes = info.features["label"].num_classes
steps = info.splits["train"].num_examples
"""
LOOP = """
import tensorflow as tf
import tensorflow_datasets as tfds
data = tfds.load("mnist", split="train[:10000]", as_supervised=True, batch_size=100)
model = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(10)])
optimizer = tf.keras.optimizers.Adam()
for epoch in range(3):
    for x, y in data:
        with tf.GradientTape() as tape:
            logits = model(tf.cast(x, tf.float32))
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
"""


def facts_of(tmp_path: Path, text: str) -> dict[str, Any]:
    """The facts of the script's one training, at a home without data sets."""
    path = tmp_path / "train.py"
    path.write_text(text, encoding="utf-8")
    environment = {**os.environ, "HOME": str(tmp_path), "TFDS_DATA_DIR": str(tmp_path / "data")}
    found = dry_run(path, (), interpreter=(sys.executable,), environment=environment, unconfined=True)
    assert found.ended == "end"
    (phase,) = found.phases
    return dict(phase)


@pytest.mark.parametrize(
    ("data", "samples", "classes"), [(SPLIT, 2936, 5), (WHOLE, 23262, 2), (BUILDER, 1256, 2), (UNKNOWN, None, 4)]
)
def test_a_data_set_that_is_not_here_has_its_published_size(
    tmp_path: Path, data: str, samples: int | None, classes: int
) -> None:
    """Samples and steps are those that the split which is asked for will have; the rest is known in any case."""
    facts = facts_of(tmp_path, FIT.format(data=data))

    assert facts.get("train_samples") == samples
    assert facts.get("steps") == (samples and 4 * -(-samples // 50))
    assert facts["input_shape"] == [20, 20, 3]
    assert facts["parameters"] == (20 * 20 * 3 + 1) * classes
    assert facts["batch_size"] == 50
    assert facts["epochs"] == 4


def test_a_loop_of_one_s_own_goes_over_the_samples(tmp_path: Path) -> None:
    """Images of a fixed size, batched by the package."""
    facts = facts_of(tmp_path, LOOP)

    assert facts["train_samples"] == 10000
    assert facts["steps"] == 300
    assert facts["input_shape"] == [28, 28, 1]
    assert facts["parameters"] == 7850
