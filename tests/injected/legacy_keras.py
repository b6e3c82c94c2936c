"""Scripts for Keras 2 as it is used today, with ``tf_keras``: of one fit, and of one loop of its own."""

FIT = """
import os
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np
import tensorflow as tf

model = tf.keras.Sequential([
    tf.keras.layers.Conv2D(8, 3, activation="relu", input_shape=(16, 16, 3)),
    tf.keras.layers.Flatten(),
    tf.keras.layers.Dense(10),
])
model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
x, y = np.zeros((200, 16, 16, 3), "float32"), np.zeros(200, int)
model.fit(x, y, batch_size=20, epochs=3, validation_data=(x[:40], y[:40]), verbose=0)
"""
LOOP = """
import tensorflow as tf
import tf_keras as keras

model = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3)])
optimizer = keras.optimizers.legacy.SGD(0.1)
data = tf.data.Dataset.from_tensor_slices((tf.zeros((120, 8)), tf.zeros(120, tf.int64))).batch(24)

@tf.function
def step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))

for epoch in range(4):
    for x, y in data:
        step(x, y)
"""
