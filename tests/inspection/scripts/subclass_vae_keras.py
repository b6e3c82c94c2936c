import numpy as np
import tensorflow as tf
import keras
from keras import ops, layers
from dataclasses import dataclass, asdict


@dataclass
class Config:
    latent_dim: int = 8
    hidden: int = 256
    batch: int = 100
    epochs: int = 2
    n_train: int = 1000
    learning_rate: float = 1e-3


class Sampling(layers.Layer):
    def __init__(self, **kw):
        super().__init__(**kw)
        self.seed = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        mean, logvar = inputs
        eps = keras.random.normal(ops.shape(mean), seed=self.seed)
        return mean + ops.exp(0.5 * logvar) * eps


class VAE(keras.Model):
    def __init__(self, cfg, **kw):
        super().__init__(**kw)
        self.h1 = layers.Dense(cfg.hidden, activation="relu")
        self.mean = layers.Dense(cfg.latent_dim)
        self.logvar = layers.Dense(cfg.latent_dim)
        self.sample = Sampling()
        self.h2 = layers.Dense(cfg.hidden, activation="relu")
        self.out = layers.Dense(784, activation="sigmoid")

    def call(self, x):
        h = self.h1(x)
        m, lv = self.mean(h), self.logvar(h)
        z = self.sample((m, lv))
        kl = -0.5 * ops.mean(1 + lv - ops.square(m) - ops.exp(lv))
        self.add_loss(kl)
        return self.out(self.h2(z))


cfg = Config()
print(asdict(cfg))
data = np.random.random((cfg.n_train, 784)).astype("float32")
vae = VAE(cfg)
vae.compile(optimizer=keras.optimizers.Adam(cfg.learning_rate), loss="mse")
vae.fit(data, data, epochs=cfg.epochs, batch_size=cfg.batch, shuffle=True)
