import argparse
import keras
import tensorflow as tf
from keras.applications import MobileNetV2
from keras.applications.mobilenet_v2 import preprocess_input

parser = argparse.ArgumentParser(description="flowers, transfer learning then fine-tuning")
parser.add_argument("--weights", default="imagenet")
parser.add_argument("--size", type=int, default=96)
parser.add_argument("--batch_size", type=int, default=16)
parser.add_argument("--head_epochs", type=int, default=2)
parser.add_argument("--finetune_epochs", type=int, default=1)
FLAGS = parser.parse_args()
weights = None if FLAGS.weights == "none" else FLAGS.weights

AUTOTUNE = tf.data.AUTOTUNE
S = FLAGS.size


def fake_image(i):
    img = tf.random.stateless_uniform((S, S, 3), seed=(i, 1), maxval=255.0)
    return preprocess_input(img), tf.cast(i % 5, tf.int32)


def make(start, stop, training):
    ds = tf.data.Dataset.range(start, stop).map(lambda i: fake_image(tf.cast(i, tf.int32)), num_parallel_calls=AUTOTUNE)
    if training:
        ds = ds.shuffle(100)
    return ds.batch(FLAGS.batch_size).prefetch(AUTOTUNE)


train_ds, val_ds = make(0, 72, True), make(72, 96, False)

base_model = MobileNetV2(input_shape=(S, S, 3), include_top=False, weights=weights)
base_model.trainable = False
inputs = keras.Input((S, S, 3))
x = base_model(inputs, training=False)
x = keras.layers.GlobalAveragePooling2D()(x)
x = keras.layers.Dropout(0.2)(x)
outputs = keras.layers.Dense(5)(x)
model = keras.Model(inputs, outputs)

loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
h = model.fit(train_ds, epochs=FLAGS.head_epochs, validation_data=val_ds)

base_model.trainable = True
for layer in base_model.layers[:100]:
    layer.trainable = False
model.compile(optimizer=keras.optimizers.Adam(1e-5), loss=loss, metrics=["accuracy"])
model.fit(train_ds, epochs=FLAGS.head_epochs + FLAGS.finetune_epochs, initial_epoch=h.epoch[-1] + 1, validation_data=val_ds)
model.save("flowers.keras")
