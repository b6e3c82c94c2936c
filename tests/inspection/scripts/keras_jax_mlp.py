import os
os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy as np

HIDDEN = [128, 64]
rng = np.random.default_rng(1)
x = rng.normal(size=(900, 30)).astype(np.float32)
w = rng.normal(size=(30, 1))
y = (x @ w + 0.1 * rng.normal(size=(900, 1))).astype(np.float32)

model = keras.Sequential([keras.layers.Dense(h, activation="silu") for h in HIDDEN] + [keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="huber")
model.fit(x, y, epochs=6, batch_size=60, validation_split=0.2, verbose=0)
print(model.evaluate(x, y, verbose=0))
