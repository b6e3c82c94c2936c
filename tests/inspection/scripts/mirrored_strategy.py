from __future__ import print_function
import numpy as np
import tensorflow as tf

strategy = tf.distribute.MirroredStrategy()
print("Number of devices: {}".format(strategy.num_replicas_in_sync))

PER_REPLICA = 20
GLOBAL_BATCH_SIZE = PER_REPLICA * strategy.num_replicas_in_sync

train_images = np.random.rand(400, 28, 28, 1).astype("float32")
train_labels = np.random.randint(0, 10, 400)
ds = tf.data.Dataset.from_tensor_slices((train_images, train_labels)).cache().shuffle(400).batch(GLOBAL_BATCH_SIZE)
ev = tf.data.Dataset.from_tensor_slices((train_images[:60], train_labels[:60])).batch(GLOBAL_BATCH_SIZE)

with strategy.scope():
    model = tf.keras.Sequential([
        tf.keras.layers.Conv2D(32, 3, activation="relu", input_shape=(28, 28, 1)),
        tf.keras.layers.MaxPooling2D(),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(64, activation="relu"),
        tf.keras.layers.Dense(10),
    ])
    model.compile(loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  optimizer=tf.keras.optimizers.Adam(), metrics=["accuracy"])


def decay(epoch):
    if epoch < 3:
        return 1e-3
    return 1e-4


callbacks = [tf.keras.callbacks.LearningRateScheduler(decay)]
model.fit(ds, epochs=3, validation_data=ev, callbacks=callbacks)
