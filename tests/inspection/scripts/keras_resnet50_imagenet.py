"""ResNet50 from keras.applications from scratch; input pipeline in the style of the TPU examples."""
import os
import tensorflow as tf

from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_integer("train_batch_size", 4, "Global batch size.")
flags.DEFINE_integer("num_train_images", 12, "Size of training data set.")
flags.DEFINE_integer("num_eval_images", 4, "Size of evaluation data set.")
flags.DEFINE_integer("train_epochs", 1, "Number of epochs.")
flags.DEFINE_integer("image_size", 96, "Side of the crop.")


def input_fn(is_training, batch_size, n, side):
    ds = tf.data.Dataset.range(n)
    if is_training:
        ds = ds.shuffle(n).repeat()
    ds = ds.map(lambda i: (tf.random.normal((side, side, 3)), tf.cast(i % 100, tf.int32)))
    return ds.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def main(_):
    model = tf.keras.applications.ResNet50(weights=None, classes=100, input_shape=(FLAGS.image_size,) * 2 + (3,))
    model.compile(optimizer=tf.keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
                  loss="sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
    model.fit(
        input_fn(True, FLAGS.train_batch_size, FLAGS.num_train_images, FLAGS.image_size),
        epochs=FLAGS.train_epochs,
        steps_per_epoch=FLAGS.num_train_images // FLAGS.train_batch_size,
        validation_data=input_fn(False, FLAGS.train_batch_size, FLAGS.num_eval_images, FLAGS.image_size),
        validation_steps=FLAGS.num_eval_images // FLAGS.train_batch_size,
        verbose=2,
    )


if __name__ == "__main__":
    app.run(main)
