"""Dry runs of Keras on PyTorch and JAX, and of plain JAX: FLOPs and totals against hand counts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from advisor.inspection.dry_run import dry_run
from tests.capabilities import frameworks_python

UNET = """
import os
os.environ["KERAS_BACKEND"] = "{backend}"
import keras, numpy as np
from keras import layers
inputs = keras.Input((16, 16, 3))
skip = layers.Conv2D(8, 3, padding="same")(inputs)
low = layers.Conv2D(16, 3, padding="same")(layers.MaxPooling2D()(skip))
up = layers.Conv2DTranspose(8, 2, strides=2)(low)
model = keras.Model(inputs, layers.Conv2D(2, 1)(layers.Concatenate()([up, skip])))
model.compile("adam", "mse")
model.fit(np.zeros((50, 16, 16, 3), "float32"), np.zeros((50, 16, 16, 2)), epochs=3, batch_size=8, validation_split=0.2)
"""

OWN_LOOP = """
import os
os.environ["KERAS_BACKEND"] = "torch"
import torch, keras
from keras import layers
model = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(8, 3, padding="same"), layers.MaxPooling2D(),
                          layers.Dropout(0.2), layers.GlobalAveragePooling2D(), layers.Dense(5)])
data = torch.utils.data.TensorDataset(torch.randn(90, 16, 16, 3), torch.randint(0, 5, (90,)))
optimizer, loss_of = {optimizer}, {loss}
for epoch in range(3):
    for images, labels in torch.utils.data.DataLoader(data, 15):
        model.zero_grad()
        loss = loss_of({arguments})
        loss.backward()
        with torch.no_grad():
            {step}
"""
OF_TORCH = {
    "optimizer": "torch.optim.Adam(model.parameters())", "loss": "torch.nn.CrossEntropyLoss()",
    "arguments": "model(images), labels", "step": "optimizer.step()",
}  # fmt: skip
OF_KERAS = {
    "optimizer": "keras.optimizers.Adam()", "loss": "keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
    "arguments": "labels, model(images)",
    "step": "optimizer.apply([w.value.grad for w in model.trainable_weights], model.trainable_weights)",
}  # fmt: skip

PLAIN = """
import jax
import jax.numpy as jnp
import numpy as np
def loss(weights, x, y):
    return jnp.mean((jnp.tanh(x @ weights[0]) @ weights[1] - y) ** 2)
@jax.jit
def update(weights, x, y):
    value, gradients = jax.value_and_grad(loss)(weights, x, y)
    return [one - 0.1 * change for one, change in zip(weights, gradients)], value
x, y = np.zeros((103, 20), "float32"), np.zeros((103, 1), "float32")
weights = [jnp.ones((20, 64)), jnp.ones((64, 1))]
for epoch in range(8):
    for start in range(0, 103, 10):
        weights, value = update(weights, x[start:start + 10], y[start:start + 10])
    print(epoch, float(value))
"""

SCANNED = """
import jax
import jax.numpy as jnp
import numpy as np
def loss(weights, x):
    return jnp.mean((x @ weights) ** 2)
def step(weights, x):
    value, gradient = jax.value_and_grad(loss)(weights, x)
    return weights - 0.1 * gradient, value
@jax.jit
def epoch(weights, batches):
    return jax.lax.scan(step, weights, batches)
weights, batches = jnp.ones((20, 1)), np.zeros((12, 8, 20), "float32")
for _ in range(5):
    weights, losses = epoch(weights, batches)
"""


def facts_of(script: Path, text: str, *modules: str) -> Mapping[str, Any]:
    """Facts of the one phase that the script has."""
    python = frameworks_python(*modules)
    if python is None:
        pytest.skip("no interpreter with " + ", ".join(modules) + " (tests/frameworks.sh makes it)")
    script.write_text(text, encoding="utf-8")
    found = dry_run(script, (), interpreter=(python,), environment=dict(os.environ), unconfined=True)
    assert ("end", 1) == (found.ended, len(found.phases)), found
    return found.phases[0]


@pytest.mark.parametrize(("backend", "framework"), [("torch", "pytorch"), ("jax", "jax")])
def test_fit_is_described_on_other_back_ends(tmp_path: Path, backend: str, framework: str) -> None:
    """Pooling passes gradients on, a transposed convolution costs as much as the convolution that it transposes."""
    facts = facts_of(tmp_path / "unet.py", UNET.format(backend=backend), "keras", backend)

    first, last = 2 * 256 * 8 * 27, 2 * 256 * 16 * 2
    forward = first + 2 * 64 * 16 * 72 + 2 * 64 * 16 * 8 * 4 + last
    assert (framework, 3, 40, 10, 8) == tuple(
        facts[name] for name in ("framework", "epochs", "train_samples", "validation_samples", "batch_size")
    )
    assert forward == facts["forward_flops_per_sample"]
    assert 3 * forward - first == facts["training_flops_per_sample"]
    assert 6 == facts["layers"]
    if backend == "torch":
        pooling = 4 * 256 * 8 + 8 * 64 * 8  # its input, and the place of each largest
        inputs_of_convolutions = 4 * (256 * 3 + 64 * 8 + 64 * 16 + 256 * 16)
        assert pytest.approx(pooling + inputs_of_convolutions, rel=0.001) == facts["saved_bytes_per_sample"]


def test_plain_jax_loop_is_counted(tmp_path: Path) -> None:
    """A jitted step is read once, and the short last batch of each epoch counts as what it is."""
    facts = facts_of(tmp_path / "plain.py", PLAIN, "jax")

    first, second = 2 * 20 * 64, 2 * 64
    assert ("jax", 8, 103, 10, 88) == tuple(
        facts[name] for name in ("framework", "epochs", "train_samples", "batch_size", "steps")
    )
    assert 20 * 64 + 64 == facts["parameters"]
    assert first + second == facts["forward_flops_per_sample"]
    assert 3 * (first + second) - first == facts["training_flops_per_sample"]


def test_steps_inside_of_a_jitted_loop_are_not_one(tmp_path: Path) -> None:
    """A scan over batches takes as many steps as it has rounds: what they add up to is unknown, never one a call."""
    script = tmp_path / "scanned.py"
    script.write_text(SCANNED, encoding="utf-8")
    python = frameworks_python("jax")
    if python is None:
        pytest.skip("no interpreter with jax (tests/frameworks.sh makes it)")
    found = dry_run(script, (), interpreter=(python,), environment=dict(os.environ), unconfined=True)
    told = {name for phase in found.phases for name in phase}

    assert not told & {"steps", "epochs", "train_samples", "training_flops_per_sample"}
    assert any("several steps" in note for note in found.notes)


@pytest.mark.parametrize("parts", [OF_TORCH, OF_KERAS], ids=["optimizer of PyTorch", "optimizer of Keras"])
def test_keras_layers_train_in_a_loop_of_pytorch(tmp_path: Path, parts: Mapping[str, str]) -> None:
    """A loop of the script's own around a Keras model is one of PyTorch, whoever takes its steps."""
    facts = facts_of(tmp_path / "train.py", OWN_LOOP.format(**parts), "keras", "torch")
    convolution, dense = 2 * 16 * 16 * 8 * 27, 2 * 8 * 5

    assert {"parameters": 28 * 8 + 9 * 5, "batch_size": 15, "train_samples": 90, "epochs": 3, "steps": 18}.items() <= (
        facts.items()
    )
    assert convolution + dense == facts["forward_flops_per_sample"]
    assert 2 * convolution + 3 * dense == facts["training_flops_per_sample"]
    assert "adam" == facts["optimizer"]
