"""Our count of FLOPs beside TensorFlow's profiler, PyTorch's counter, or a count by hand.

    python -m tests.bench.inspection_flops [--only WORD]

Keras networks are described by the code of the dry run. The profiler sees the forward pass of one sample and is asked
for matrix products and convolutions alone, as additions and activations are none of our FLOPs.
Training is compared with a count by hand, from the parts of the network. PyTorch networks are dry-run as scripts in the
interpreter of the tests; their truth is PyTorch's own counter over a real forward and backward pass.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from advisor.inspection.dry_run import dry_run
from tests.capabilities import frameworks_python

INJECTED = Path(__file__).parents[2] / "advisor" / "injected"
APPLICATIONS = ("MobileNetV2", "NASNetMobile", "ResNet50", "Xception", "InceptionV3", "VGG16", "EfficientNetB0",
                "DenseNet121")  # fmt: skip
TEXT = "torch.zeros((2, 128), dtype=torch.long)"
TORCH = {
    "GPT-2, 128 tokens": ("GPT2LMHeadModel(transformers.GPT2Config(attn_implementation='eager'))", TEXT),
    "BERT base, 128 tokens": ("BertModel(transformers.BertConfig(attn_implementation='eager'))", TEXT),
    "ResNet-50, 224": (
        "ResNetForImageClassification(transformers.ResNetConfig(num_labels=1000))",
        "torch.zeros((2, 3, 224, 224))",
    ),
}
TORCH_SCRIPT = """
import sys, torch, transformers
model = transformers.{model}
inputs = {inputs}
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
def step():
    optimizer.zero_grad()
    model(inputs)[0].float().mean().backward()
    optimizer.step()
if len(sys.argv) > 1:
    from torch.utils.flop_counter import FlopCounterMode
    with FlopCounterMode(display=False) as forward:
        with torch.no_grad():
            model(inputs)
    with FlopCounterMode(display=False) as training:
        step()
    print(forward.get_total_flops() / 2, training.get_total_flops() / 2)
else:
    for _ in range(3):
        step()
"""


def applications(keras: Any) -> Iterator[tuple[str, Any, None]]:
    """Keras's own networks at two sizes; what training costs has no hand count here."""
    for name in APPLICATIONS:
        for size, top in ((128, False), (224, True)):
            build = getattr(keras.applications, name)
            model = build(weights=None, include_top=top, input_shape=(size, size, 3))
            yield f"{name}, {size}{'' if top else ', no top'}", model, None


def by_hand(keras: Any) -> Iterator[tuple[str, Any, tuple[float, float]]]:
    """Networks whose matrix products and convolutions are few enough to add up: (forward, training)."""
    layers = keras.layers
    inputs = keras.Input((64, 64, 3))
    skip = layers.Conv2D(16, 3, padding="same")(inputs)
    low = layers.Conv2D(32, 3, padding="same")(layers.MaxPooling2D()(skip))
    up = layers.Conv2DTranspose(16, 2, strides=2)(low)
    outputs = layers.Conv2D(1, 1)(layers.Concatenate()([up, skip]))
    first = 2.0 * 64 * 64 * 16 * 27
    unet = first + 2 * 32 * 32 * 32 * 144 + 2 * 32 * 32 * 32 * 16 * 4 + 2 * 64 * 64 * 32
    yield "U-Net", keras.Model(inputs, outputs), (unet, 3 * unet - first)

    lstm = keras.Sequential([keras.Input((50, 24)), layers.LSTM(64), layers.Dense(1)])
    data, recurrent = 50 * 2.0 * 24 * 256, 50 * 2.0 * 64 * 256
    yield "LSTM", lstm, (data + recurrent + 128, 2 * data + 3 * (recurrent + 128))

    inputs = keras.Input((40, 64))
    attended = layers.MultiHeadAttention(4, 16)(inputs, inputs)
    hidden = layers.Dense(256)(layers.LayerNormalization()(inputs + attended))
    projections, products, dense = 4 * 40 * 2.0 * 64 * 64, 2 * 2.0 * 40 * 40 * 64, 2 * 40 * 2.0 * 64 * 256
    total = projections + products + dense
    block = keras.Model(inputs, layers.Dense(64)(hidden))
    yield "transformer block", block, (total, 3 * total - 3 * 40 * 2.0 * 64 * 64)

    frozen = keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(16, 3), layers.Conv2D(32, 3)])
    frozen.trainable = False
    head = keras.Sequential([keras.Input((32, 32, 3)), frozen, layers.GlobalAveragePooling2D(), layers.Dense(10)])
    body, last = 2.0 * 30 * 30 * 16 * 27 + 2.0 * 28 * 28 * 32 * 144, 2.0 * 32 * 10
    yield "frozen backbone", head, (body + last, body + 2 * last)


def gan(keras: Any) -> tuple[str, Any, tuple[float, float]]:
    """One step of both networks, one pass of each gradient."""
    import tensorflow as tf  # noqa: PLC0415 (only this interpreter needs it)

    layers = keras.layers

    class Gan(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.generator = keras.Sequential([keras.Input((32,)), layers.Dense(256), layers.Dense(784)])
            self.discriminator = keras.Sequential([keras.Input((784,)), layers.Dense(256), layers.Dense(1)])
            self.optimizers = keras.optimizers.Adam(), keras.optimizers.Adam()

        def train_step(self, images: Any) -> dict[str, Any]:
            with tf.GradientTape() as tape:
                made = self.generator(tf.random.normal((2, 32)))
                loss = tf.reduce_mean(self.discriminator(made)) - tf.reduce_mean(self.discriminator(images))
            self._take(tape, loss, self.discriminator, self.optimizers[0])
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(self.discriminator(self.generator(tf.random.normal((2, 32)))))
            self._take(tape, loss, self.generator, self.optimizers[1])
            return {"loss": loss}

        @staticmethod
        def _take(tape: Any, loss: Any, network: Any, optimizer: Any) -> None:
            variables = network.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)

    generator, discriminator = (2.0 * 32 * 256 + 2.0 * 256 * 784), (2.0 * 784 * 256 + 2.0 * 256)
    forward = 2 * generator + 3 * discriminator
    # The discriminator's two passes: weights, and data but for the first layer; the generator's: data all through the
    # discriminator, weights of the generator and data but for its first layer.
    of_discriminator = 2 * (2 * discriminator - 2.0 * 784 * 256)
    of_generator = discriminator + 2 * generator - 2.0 * 32 * 256
    return "GAN", Gan(), (forward, forward + of_discriminator + of_generator)


def profiled(model: Any) -> float:
    """Forward FLOPs of one sample as TensorFlow's profiler counts them."""
    import tensorflow as tf  # noqa: PLC0415

    spec = tf.TensorSpec((1, *model.inputs[0].shape[1:]), "float32")
    concrete = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output()
    options = options.with_accounted_types(["Conv2D", "DepthwiseConv2dNative", "MatMul"]).build()
    found = tf.compat.v1.profiler.profile(concrete.graph, cmd="op", options=options)
    return float(found.total_float_ops)


def counted(keras: Any, model: Any) -> dict[str, float]:
    """Our own count, as in a fit."""
    from gsbatch_inside.frameworks.keras import data as keras_data  # noqa: PLC0415
    from gsbatch_inside.frameworks.keras import model as keras_model  # noqa: PLC0415

    shape = model.inputs[0].shape[1:] if getattr(model, "inputs", None) else (784,)
    data = keras_data.Data(specs=keras_data.Spec(tuple(shape), "float32"))
    facts: dict[str, float] = keras_model.traced(keras, model, data).facts
    return facts


def row(name: str, kind: str, ours: float, theirs: float, against: str) -> str:
    """One line of the table."""
    return f"| {name} | {kind} | {ours:.4g} | {theirs:.4g} | {ours / theirs:.4f} | {against} |"


def keras_rows(wanted: Callable[[str], bool]) -> Iterator[str]:
    """All networks of Keras."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(INJECTED))
    import keras  # noqa: PLC0415
    import tensorflow as tf  # noqa: PLC0415
    from gsbatch_inside.frameworks.tensorflow import loops as tensorflow_loops  # noqa: PLC0415

    for name, model, hand in [*by_hand(keras)]:
        if wanted(name):
            found = counted(keras, model)
            for kind, truth in zip(("forward", "training"), hand, strict=True):
                yield row(name, kind, found[f"{kind}_flops_per_sample"], truth, "count by hand")
    for name, model, _none in applications(keras):
        if wanted(name):
            theirs = profiled(model)
            yield row(
                name, "forward", counted(keras, model)["forward_flops_per_sample"], theirs, "TensorFlow's profiler"
            )
    tensorflow_loops.attach(tf)  # last: from here on no gradient is a real one
    name, model, hand = gan(keras)
    if wanted(name):
        found = counted(keras, model)
        for kind, truth in zip(("forward", "training"), hand, strict=True):
            yield row(name, kind, found[f"{kind}_flops_per_sample"], truth, "count by hand")


def torch_rows(wanted: Callable[[str], bool]) -> Iterator[str]:
    """Networks of transformers, from their configurations."""
    python = frameworks_python("torch", "transformers")
    for name, (model, inputs) in TORCH.items():
        if python is None or not wanted(name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "train.py"
            script.write_text(TORCH_SCRIPT.format(model=model, inputs=inputs), encoding="utf-8")
            really = subprocess.run([python, str(script), "really"], capture_output=True, text=True, check=True)
            found = dry_run(script, (), interpreter=(python,), environment=dict(os.environ), unconfined=True).phases[0]
        for kind, truth in zip(("forward", "training"), map(float, really.stdout.split()), strict=True):
            yield row(name, kind, found[f"{kind}_flops_per_sample"], truth, "PyTorch's counter")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="networks whose name has this word")
    asked = parser.parse_args()
    print("| network | | our count | theirs | ratio | theirs is |\n|---|---|---|---|---|---|")
    for rows in (keras_rows, torch_rows):
        for line in rows(lambda name: asked.only.lower() in name.lower()):
            print(line, flush=True)


if __name__ == "__main__":
    main()
