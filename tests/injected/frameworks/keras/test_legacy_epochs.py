"""Epoch marks of Keras 2, whose package is ``tf_keras``: its fit, and a loop with one of its legacy optimizers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.capabilities import legacy_keras_python
from tests.injected.legacy_keras import FIT, LOOP
from tests.injected.recorded import Row, record, rows

PYTHON = legacy_keras_python()
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(PYTHON is None, reason="no interpreter with tf_keras: GSBATCH_LEGACY_KERAS_PYTHON names one"),
]


@pytest.mark.parametrize(
    ("code", "epochs"),
    [
        (FIT, [(0, index, 10, 200, False) for index in range(3)]),
        (LOOP, [(0, index, 5, 120, False) for index in range(4)]),
    ],
    ids=["fit", "loop"],
)
def test_epochs_of_keras_2_are_marked(tmp_path: Path, code: str, epochs: list[Row]) -> None:
    """As those of Keras 3."""
    done, trace = record(code, tmp_path, python=PYTHON or "")

    assert 0 == done.returncode, done.stderr
    assert epochs == rows(trace)
