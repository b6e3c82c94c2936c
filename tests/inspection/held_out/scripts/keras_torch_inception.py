#!/usr/bin/env python3
"""Spectrogram tagging with inception blocks; Keras 3, PyTorch underneath."""
import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
from keras import layers, ops


class Spectrograms(keras.utils.PyDataset):
    def __init__(self, count, batch_size, bands=32, frames=24, tags=6, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.count, self.batch_size = count, batch_size
        r = np.random.default_rng(seed)
        self.x = r.normal(size=(count, bands, frames, 1)).astype("float32")
        self.y = (r.random((count, tags)) < 0.25).astype("float32")

    def __len__(self):
        return -(-self.count // self.batch_size)

    def __getitem__(self, i):
        part = slice(i * self.batch_size, (i + 1) * self.batch_size)
        return self.x[part], self.y[part]


@keras.saving.register_keras_serializable()
class Inception(layers.Layer):
    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.one = layers.Conv2D(width, 1, activation="relu")
        self.three = keras.Sequential([layers.Conv2D(width // 2, 1), layers.Conv2D(width, 3, padding="same", activation="relu")])
        self.five = keras.Sequential([layers.Conv2D(width // 2, 1), layers.Conv2D(width, 5, padding="same", activation="relu")])

    def call(self, x):
        return ops.concatenate([self.one(x), self.three(x), self.five(x)], axis=-1)


def build():
    return keras.Sequential([
        keras.Input((32, 24, 1)), layers.Conv2D(8, 3, padding="same"), Inception(8), layers.AveragePooling2D(2),
        Inception(12), layers.GlobalMaxPooling2D(), layers.Dense(6, activation="sigmoid"),
    ])


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    net = build()
    net.compile(keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True), "binary_crossentropy",
                metrics=[keras.metrics.AUC(multi_label=True)])
    net.fit(Spectrograms(210, 16), epochs=2, validation_data=Spectrograms(40, 16, seed=1), verbose=2)
    net.save("tagger.keras")
