"""Dry runs of Keras 2, whose package is ``tf_keras``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from advisor.inspection.dry_run import dry_run
from tests.capabilities import legacy_keras_python
from tests.injected.legacy_keras import FIT, LOOP

PYTHON = legacy_keras_python()
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(PYTHON is None, reason="no interpreter with tf_keras: GSBATCH_LEGACY_KERAS_PYTHON names one"),
]
_CONVOLUTION, _DENSE = 2 * 14 * 14 * 8 * 27, 2 * 14 * 14 * 8 * 10
OF_FIT = {
    "framework": "tensorflow", "optimizer": "adam", "batch_size": 20, "epochs": 3, "train_samples": 200,
    "validation_samples": 40, "steps": 30, "input_shape": [16, 16, 3], "parameters": 28 * 8 + 1569 * 10,
    "forward_flops_per_sample": _CONVOLUTION + _DENSE, "training_flops_per_sample": 2 * _CONVOLUTION + 3 * _DENSE,
}  # fmt: skip
OF_LOOP = {
    "framework": "tensorflow", "optimizer": "sgd", "batch_size": 24, "epochs": 4, "train_samples": 120,
    "validation_samples": 0, "steps": 20, "input_shape": [8], "parameters": 9 * 16 + 17 * 3,
    "forward_flops_per_sample": 2 * (8 * 16 + 16 * 3), "training_flops_per_sample": 2 * (2 * 8 * 16 + 3 * 16 * 3),
}  # fmt: skip


@pytest.mark.parametrize(("code", "facts"), [(FIT, OF_FIT), (LOOP, OF_LOOP)], ids=["fit", "loop"])
def test_facts_of_keras_2_are_found(tmp_path: Path, code: str, facts: dict[str, Any]) -> None:
    """As those of Keras 3."""
    script = tmp_path / "train.py"
    script.write_text(code, encoding="utf-8")

    found = dry_run(script, (), interpreter=(PYTHON or "",), environment=dict(os.environ), unconfined=True)

    (phase,) = found.phases
    assert facts == {name: phase.get(name) for name in facts}
