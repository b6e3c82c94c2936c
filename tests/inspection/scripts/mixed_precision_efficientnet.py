"""Fine-tuning of an EfficientNet in mixed precision with tf.data and augmentation layers."""
from pathlib import Path
import configparser

import keras
import numpy as np
import tensorflow as tf

config = configparser.ConfigParser()
config.read(Path(__file__).with_suffix(".ini"))
train_cfg, data_cfg = config["train"], config["data"]

keras.mixed_precision.set_global_policy("mixed_float16" if train_cfg.getboolean("amp") else "float32")


class Pipeline:
    def __init__(self, section):
        self.side = section.getint("side")
        self.batch = section.getint("batch")
        self.n_classes = section.getint("classes")

    def __call__(self, n, shuffle=False):
        images = np.random.uniform(0, 255, (n, self.side, self.side, 3)).astype("uint8")
        labels = np.random.randint(self.n_classes, size=n)
        ds = tf.data.Dataset.from_tensor_slices((images, tf.one_hot(labels, self.n_classes)))
        if shuffle:
            ds = ds.shuffle(n)
        ds = ds.batch(self.batch, drop_remainder=shuffle)
        return ds.map(lambda a, b: (tf.cast(a, tf.float32), b)).prefetch(2)


pipe = Pipeline(data_cfg)
augment = keras.Sequential([keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1)])
backbone = keras.applications.EfficientNetB0(include_top=False, weights=None, pooling="avg",
                                             input_shape=(pipe.side, pipe.side, 3))
inputs = keras.Input((pipe.side, pipe.side, 3))
features = backbone(augment(inputs))
probabilities = keras.layers.Dense(pipe.n_classes, activation="softmax", dtype="float32")(features)
classifier = keras.Model(inputs, probabilities, name="effnet_pets")
classifier.compile(
    optimizer=keras.optimizers.Adam(train_cfg.getfloat("lr"), clipnorm=1.0),
    loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
)
classifier.fit(pipe(data_cfg.getint("train"), shuffle=True), validation_data=pipe(data_cfg.getint("valid")),
               epochs=train_cfg.getint("epochs"))
