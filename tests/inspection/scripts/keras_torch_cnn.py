import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch
from keras import layers
from torch.utils.data import DataLoader, TensorDataset

N_TRAIN, N_VAL = 320, 64
EPOCHS = 3
BATCH = 32


def build():
    return keras.Sequential([
        layers.Input((24, 24, 3)),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4, activation="softmax"),
    ], name="tiny_cnn")


def loader(n, shuffle):
    g = torch.Generator().manual_seed(0)
    return DataLoader(TensorDataset(torch.rand((n, 24, 24, 3), generator=g), torch.randint(0, 4, (n,), generator=g)),
                      batch_size=BATCH, shuffle=shuffle)


model = build()
model.compile(optimizer=keras.optimizers.Lion(1e-4), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(loader(N_TRAIN, True), validation_data=loader(N_VAL, False), epochs=EPOCHS)
