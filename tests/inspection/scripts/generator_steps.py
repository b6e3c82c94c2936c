#!/usr/bin/env python
import os
import numpy as np
import tensorflow as tf

BS = int(os.environ.get("BATCH_SIZE", "32"))
STEPS = int(os.getenv("STEPS_PER_EPOCH", 20))
EPOCHS = int(os.getenv("EPOCHS", 10))


def endless(batch):
    while True:
        x = np.random.normal(size=(batch, 16, 9)).astype(np.float32)
        y = x.sum(axis=(1, 2)) > 0
        yield x, y.astype(np.float32)


model = tf.keras.Sequential([
    tf.keras.layers.Input((16, 9)),
    tf.keras.layers.Conv1D(24, 3, activation="relu"),
    tf.keras.layers.Conv1D(24, 3, activation="relu"),
    tf.keras.layers.GRU(20),
    tf.keras.layers.Dense(1, activation="sigmoid"),
])
model.compile("adamax", "binary_crossentropy")
model.fit(endless(BS), steps_per_epoch=STEPS, epochs=EPOCHS,
          validation_data=endless(BS), validation_steps=4)
