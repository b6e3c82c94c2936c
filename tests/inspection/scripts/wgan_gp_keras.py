import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers as L

NOISE = 16; BATCH = 20; CRITIC_STEPS = 3; GP = 10.0

def make_critic():
    i = L.Input((14, 14, 1))
    x = L.Conv2D(16, 5, strides=2, padding="same")(i); x = L.LeakyReLU()(x)
    x = L.Conv2D(32, 5, strides=2, padding="same")(x); x = L.LeakyReLU()(x)
    return keras.Model(i, L.Dense(1)(L.Flatten()(x)), name="critic")

def make_generator():
    i = L.Input((NOISE,))
    x = L.Dense(7 * 7 * 16, use_bias=False)(i); x = L.BatchNormalization()(x); x = L.Reshape((7, 7, 16))(x)
    x = L.UpSampling2D()(x); x = L.Conv2D(16, 3, padding="same", activation="relu")(x)
    return keras.Model(i, L.Conv2D(1, 3, padding="same", activation="tanh")(x), name="generator")

class WGAN(keras.Model):
    def __init__(self, critic, generator):
        super().__init__()
        self.critic, self.generator = critic, generator
    def compile(self, c_opt, g_opt):
        super().compile()
        self.c_opt, self.g_opt = c_opt, g_opt
    def gradient_penalty(self, real, fake, n):
        a = tf.random.uniform([n, 1, 1, 1]); mixed = real + a * (fake - real)
        with tf.GradientTape() as t:
            t.watch(mixed); pred = self.critic(mixed, training=True)
        g = t.gradient(pred, mixed)
        return tf.reduce_mean((tf.sqrt(tf.reduce_sum(tf.square(g), [1, 2, 3]) + 1e-12) - 1.0) ** 2)
    def train_step(self, real):
        n = tf.shape(real)[0]
        for _ in range(CRITIC_STEPS):
            z = tf.random.normal((n, NOISE))
            with tf.GradientTape() as tape:
                fake = self.generator(z, training=True)
                cost = tf.reduce_mean(self.critic(fake, training=True)) - tf.reduce_mean(self.critic(real, training=True))
                loss = cost + GP * self.gradient_penalty(real, fake, n)
            self.c_opt.apply_gradients(zip(tape.gradient(loss, self.critic.trainable_variables), self.critic.trainable_variables))
        z = tf.random.normal((n, NOISE))
        with tf.GradientTape() as tape:
            g_loss = -tf.reduce_mean(self.critic(self.generator(z, training=True), training=True))
        self.g_opt.apply_gradients(zip(tape.gradient(g_loss, self.generator.trainable_variables), self.generator.trainable_variables))
        return {"c": loss, "g": g_loss}

digits = np.random.rand(100, 14, 14, 1).astype("float32") * 2 - 1
w = WGAN(make_critic(), make_generator())
w.compile(keras.optimizers.RMSprop(5e-5), keras.optimizers.RMSprop(5e-5))
w.fit(digits, batch_size=BATCH, epochs=2, verbose=2)
