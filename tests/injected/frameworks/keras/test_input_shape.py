"""Input shapes as the network meets them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from advisor.inspection.dry_run import dry_run

pytestmark = pytest.mark.tensorflow

GREY = """
import numpy as np
import tensorflow as tf
keras = tf.keras
model = keras.Sequential([{layers}])
model.compile("adam", "mse")
model.fit(np.zeros((64, 12, 12), "float32"), np.zeros((64, 5)), epochs=2)
"""


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ("keras.layers.Input((12, 12, 1)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(5)",
         [12, 12, 1]),
        ("keras.layers.Input((12, 12)), keras.layers.Flatten(), keras.layers.Dense(5)", [12, 12]),
        ("keras.layers.Flatten(), keras.layers.Dense(5)", [12, 12]),
    ],
)  # fmt: skip
def test_samples_without_the_last_axis_of_one_get_it_as_keras_gives_it(
    tmp_path: Path, layers: str, shape: list[int]
) -> None:
    """Grey images of a convolution's input (12, 12, 1) may come as (12, 12); elsewhere the data say what they are."""
    path = tmp_path / "train.py"
    path.write_text(GREY.format(layers=layers), encoding="utf-8")
    found = dry_run(path, (), interpreter=(sys.executable,), environment=dict(os.environ), unconfined=True)
    (phase,) = found.phases

    assert phase["input_shape"] == shape
