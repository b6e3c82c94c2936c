"""Train a small image classifier on synthetic data: the example that `bash docs/examples/try.sh` submits.

Nothing in it knows of gsbatch. It takes less than a minute on two CPU cores.
"""

import argparse

import keras
import numpy as np
from keras import layers


def make_images(count, classes, seed):
    """Noise images with a bright square whose place gives the class away."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    images = rng.normal(0.0, 1.0, (count, 32, 32, 3)).astype("float32")
    for image, label in zip(images, labels):
        row, column = divmod(int(label), 4)
        image[8 * row : 8 * row + 6, 8 * column : 8 * column + 6] += 2.0
    return images, labels


def build_model(classes):
    """Three convolution blocks and a linear head."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes),
        ],
        name="small_cnn",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--samples", type=int, default=2048)
    args = parser.parse_args()

    classes = 16
    train = make_images(args.samples, classes, seed=1)
    validation = make_images(args.samples // 8, classes, seed=2)
    model = build_model(classes)
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(*train, validation_data=validation, batch_size=args.batch_size, epochs=args.epochs, verbose=2)


if __name__ == "__main__":
    main()
