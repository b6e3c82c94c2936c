"""Calls of ``fit`` in a loop that a dry run does not see the end of."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from advisor.inspection.dry_run import dry_run
from advisor.inspection.inspect import probed_facts

pytestmark = pytest.mark.tensorflow

LOOP = """
import time
import numpy as np
import tensorflow as tf
keras = tf.keras
model = keras.Sequential([keras.layers.Input((12,)), keras.layers.Dense(5)])
model.compile("adam", "mse")
for generation in range(9):
    model.fit(np.zeros((64, 12), "float32"), np.zeros((64, 5)), epochs=2)
    if generation == 3:
        {then}
"""
FOR_EVER = """while True:
            time.sleep(1)"""


@pytest.mark.parametrize(
    ("then", "epochs", "steps"),
    [("pass", 18, 36), (FOR_EVER, None, None), ('raise ValueError("fails here alone")', None, None)],
)
def test_epochs_of_a_loop_that_was_cut_short_are_not_told(
    tmp_path: Path, then: str, epochs: int | None, steps: int | None
) -> None:
    """What was seen of the loop is less than the training; the network is known all the same."""
    path = tmp_path / "train.py"
    path.write_text(LOOP.format(then=then), encoding="utf-8")
    found = dry_run(path, (), interpreter=(sys.executable,), environment=dict(os.environ), unconfined=True)
    facts, _notes = probed_facts(found)

    assert epochs == (facts["epochs"].value if "epochs" in facts else None)
    assert steps == (facts["steps"].value if "steps" in facts else None)
    assert facts["parameters"].value == 65
