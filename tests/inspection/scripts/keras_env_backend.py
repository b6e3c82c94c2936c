"""Keras 3 whatever backend KERAS_BACKEND names; squeeze-and-excite residual CNN on numpy arrays."""
import keras
import numpy as np
from keras import layers as kl
class SE(kl.Layer):
    def __init__(self, ratio=4, **k):
        super().__init__(**k); self.ratio = ratio
    def build(self, s):
        self.a = kl.Dense(s[-1] // self.ratio, activation="relu"); self.b = kl.Dense(s[-1], activation="sigmoid")
        self.a.build((None, s[-1])); self.b.build((None, s[-1] // self.ratio))
    def call(self, x):
        w = self.b(self.a(keras.ops.mean(x, axis=(1, 2))))
        return x * keras.ops.expand_dims(keras.ops.expand_dims(w, 1), 1)
def unit(x, f):
    y = kl.SeparableConv2D(f, 3, padding="same", use_bias=False)(x); y = kl.BatchNormalization()(y); y = kl.Activation("swish")(y)
    y = SE()(y)
    return y if x.shape[-1] != f else kl.add([x, y])
i = keras.Input((20, 20, 4)); h = kl.Conv2D(16, 3, strides=2, padding="same")(i)
for f in (16, 16, 32): h = unit(h, f)
net = keras.Model(i, kl.Dense(1)(kl.GlobalAveragePooling2D()(h)))
net.compile(keras.optimizers.Adamax(2e-3), keras.losses.MeanAbsoluteError())
X = np.random.rand(132, 20, 20, 4); Y = X.mean((1, 2, 3))
net.fit(X[:-22], Y[:-22], validation_data=(X[-22:], Y[-22:]), batch_size=11, epochs=3, callbacks=[keras.callbacks.EarlyStopping(patience=10)])
