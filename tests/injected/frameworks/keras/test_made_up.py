"""Scripts whose folders and downloads are not on this machine, as they are found on a login node."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from advisor.inspection.dry_run import DryRun, dry_run

pytestmark = pytest.mark.tensorflow

IMAGES = """
import pathlib
import tensorflow as tf
keras = tf.keras
folder = {folder}
train, validation = keras.utils.image_dataset_from_directory(
    folder, validation_split=0.2, subset="both", seed=1, image_size=(40, 40), batch_size=16, label_mode="{labels}")
train = train.map(lambda x, y: (x / 255.0, y)).prefetch(tf.data.AUTOTUNE)
model = keras.Sequential([keras.layers.Input((40, 40, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(),
                          keras.layers.Dense({classes})])
model.compile("adam", {loss})
model.fit(train, validation_data=validation, epochs=3)
"""
FLOWERS = """pathlib.Path(keras.utils.get_file("flower_photos", origin="https://nowhere.invalid/flower_photos.tgz",
                                      untar=True))"""
SPARSE = "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
TEXTS = """
import tensorflow as tf
keras = tf.keras
texts = keras.utils.text_dataset_from_directory("{folder}", batch_size=25)
vectorize = keras.layers.TextVectorization(max_tokens=500, output_sequence_length=40)
vectorize.adapt(texts.map(lambda x, y: x))
model = keras.Sequential([keras.layers.Embedding({words}, 8), keras.layers.GlobalAveragePooling1D(),
                          keras.layers.Dense(1)])
model.compile("rmsprop", "binary_crossentropy")
def as_numbers(x, y):
    return vectorize(x), y
model.fit(texts.map(as_numbers), epochs=2)
"""
KERNELS = 3 * 3 * 3 * 4 + 4


def run(tmp_path: Path, text: str) -> DryRun:
    """A dry run of the script, at a home without downloads."""
    path = tmp_path / "train.py"
    path.write_text(text, encoding="utf-8")
    environment = {**os.environ, "HOME": str(tmp_path), "KERAS_HOME": str(tmp_path)}
    return dry_run(path, (), interpreter=(sys.executable,), environment=environment, unconfined=True)


def facts_of(found: DryRun) -> dict[str, Any]:
    """The facts of its one training."""
    assert found.ended == "end"
    (phase,) = found.phases
    return dict(phase)


def test_a_folder_of_a_well_known_data_set_has_its_published_size(tmp_path: Path) -> None:
    """The archive of flowers cannot be downloaded; its 3670 images in 5 classes are cut as Keras cuts them."""
    found = run(tmp_path, IMAGES.format(folder=FLOWERS, classes=5, labels="int", loss=SPARSE))
    facts = facts_of(found)

    assert facts["train_samples"] == 2936
    assert facts["validation_samples"] == 734
    assert facts["steps"] == 3 * 184
    assert facts["parameters"] == KERNELS + 38 * 38 * 4 * 5 + 5
    assert "flower_photos could not be downloaded here; the dry run goes on without it" in found.notes


@pytest.mark.parametrize("labels", ["int", "categorical", "binary"])
def test_of_any_other_folder_the_number_of_samples_stays_unknown(tmp_path: Path, labels: str) -> None:
    """Nobody knows how many images there will be; the network, its batches and epochs are known all the same."""
    classes = 1 if labels == "binary" else 2
    loss = {"int": SPARSE, "categorical": '"categorical_crossentropy"', "binary": '"binary_crossentropy"'}[labels]
    found = run(tmp_path, IMAGES.format(folder='"my/pictures"', classes=classes, labels=labels, loss=loss))
    facts = facts_of(found)

    assert not {"train_samples", "validation_samples", "steps", "seen_samples"} & set(facts)
    assert facts["batch_size"] == 16
    assert facts["epochs"] == 3
    assert facts["input_shape"] == [40, 40, 3]
    assert facts["parameters"] == KERNELS + (38 * 38 * 4 + 1) * classes
    assert facts["training_flops_per_sample"] > 0


def test_a_layer_as_wide_as_made_up_classes_gives_no_parameters(tmp_path: Path) -> None:
    """How many classes there will be is as unknown as how many images."""
    script = IMAGES.format(folder='"my/pictures"', classes="len(names)", labels="int", loss=SPARSE)
    script = script.replace("train = train.map", "names = train.class_names\ntrain = train.map")
    facts = facts_of(run(tmp_path, script))

    assert "parameters" not in facts
    assert facts["batch_size"] == 16


@pytest.mark.parametrize(
    ("folder", "words", "samples", "parameters"),
    [
        ("aclImdb/train", "500", 25000, 500 * 8 + 9),
        ("my/texts", "500", None, 500 * 8 + 9),
        ("my/texts", "len(vectorize.get_vocabulary())", None, None),
    ],
)
def test_texts_are_made_up_and_their_vocabulary_is_not_believed(
    tmp_path: Path, folder: str, words: str, samples: int | None, parameters: int | None
) -> None:
    """A network as wide as a script says is known, one as wide as the words of texts that are not here is not."""
    facts = facts_of(run(tmp_path, TEXTS.format(folder=folder, words=words)))

    assert facts.get("train_samples") == samples
    assert facts.get("parameters") == parameters
    assert facts["batch_size"] == 25
