import argparse

import tensorflow as tf
from keras import Sequential
from keras import layers as L
import keras

AUTOTUNE = tf.data.AUTOTUNE


class Denoiser(keras.Model):
    """Convolutional denoising autoencoder, which adds its own noise in train_step."""

    def __init__(self, depth=16, sigma=0.2, **kw):
        super().__init__(**kw)
        self.sigma = sigma
        self.enc = Sequential([L.Conv2D(depth, 3, 2, padding="same", activation="relu"),
                               L.Conv2D(depth * 2, 3, 2, padding="same", activation="relu")])
        self.dec = Sequential([L.Conv2DTranspose(depth, 3, 2, padding="same", activation="relu"),
                               L.Conv2DTranspose(1, 3, 2, padding="same", activation="sigmoid")])
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.psnr = keras.metrics.Mean(name="psnr")

    @property
    def metrics(self):
        return [self.loss_tracker, self.psnr]

    def call(self, x, training=False):
        return self.dec(self.enc(x, training=training), training=training)

    def _compute(self, clean, training):
        noisy = clean + tf.random.normal(tf.shape(clean), stddev=self.sigma)
        out = self(noisy, training=training)
        return out, tf.reduce_mean(tf.square(out - clean))

    def train_step(self, clean):
        with tf.GradientTape() as tape:
            out, loss = self._compute(clean, True)
        grads = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
        self.loss_tracker.update_state(loss)
        self.psnr.update_state(tf.image.psnr(clean, out, 1.0))
        return {m.name: m.result() for m in self.metrics}

    def test_step(self, clean):
        out, loss = self._compute(clean, False)
        self.loss_tracker.update_state(loss)
        self.psnr.update_state(tf.image.psnr(clean, out, 1.0))
        return {m.name: m.result() for m in self.metrics}


def pipeline(images, batch, training):
    ds = tf.data.Dataset.from_tensor_slices(images)
    ds = ds.map(lambda im: tf.cast(im, tf.float32) / 255.0, num_parallel_calls=AUTOTUNE).cache()
    if training:
        ds = ds.shuffle(512).map(tf.image.random_flip_left_right, num_parallel_calls=AUTOTUNE)
    return ds.batch(batch).prefetch(AUTOTUNE)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("-b", "--batch", type=int, default=64)
    p.add_argument("-e", "--epochs", type=int, default=5)
    p.add_argument("--lr", type=float, default=2e-3)
    a = p.parse_args()
    keras.utils.set_random_seed(7)
    images = tf.cast(tf.random.uniform((500, 32, 32, 1), 0, 255), tf.uint8)
    train, val = pipeline(images[:430], a.batch, True), pipeline(images[430:], a.batch, False)
    model = Denoiser()
    model.compile(optimizer=keras.optimizers.Nadam(a.lr))
    hist = model.fit(train, validation_data=val, epochs=a.epochs, verbose=2)
    print("best psnr", max(hist.history["val_psnr"]))


if __name__ == "__main__":
    main()
