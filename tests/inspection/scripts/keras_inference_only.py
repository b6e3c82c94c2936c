"""Scores a folder of images with an untrained network; nothing is trained."""
import numpy as np
import keras

model = keras.Sequential([
    keras.Input((32, 32, 3)),
    keras.layers.Conv2D(8, 3, activation="relu"),
    keras.layers.GlobalMaxPooling2D(),
    keras.layers.Dense(2),
])
images = np.random.rand(64, 32, 32, 3).astype("float32")
scores = model.predict(images, batch_size=16, verbose=0)
np.savetxt("scores.csv", scores, delimiter=",")
print(scores.mean(0))
