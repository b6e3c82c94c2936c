"""
Vision transformer for small data, written for the course project.
"""
import numpy as np
import keras
from keras import layers, ops
import tensorflow as tf

SEED = 42
IMAGE, PATCH, DIM, HEADS, DEPTH, MLP_UNITS, CLASSES = 24, 6, 48, 3, 2, [96, 48], 5
BUFFER_SIZE, BATCH_SIZE = 128, 12
N_EPOCHS = 2
keras.utils.set_random_seed(SEED)


class PatchTokens(layers.Layer):
    def __init__(self, patch, dim, **kwargs):
        super().__init__(**kwargs)
        self.patch, self.dim = patch, dim
        self.proj = layers.Dense(dim)

    def build(self, shape):
        n = (shape[1] // self.patch) * (shape[2] // self.patch)
        self.proj.build((None, n, self.patch * self.patch * shape[-1]))
        self.pos = self.add_weight(shape=(1, n + 1, self.dim), initializer="random_normal", name="pos")
        self.cls = self.add_weight(shape=(1, 1, self.dim), initializer="zeros", name="cls")
        self.n = n

    def call(self, images):
        b = ops.shape(images)[0]
        p = ops.image.extract_patches(images, self.patch)
        tokens = self.proj(ops.reshape(p, (b, self.n, p.shape[-1])))
        cls = ops.broadcast_to(self.cls, (b, 1, self.dim))
        return ops.concatenate([cls, tokens], axis=1) + self.pos


def mlp(x, units):
    for u in units:
        x = layers.Dense(u, activation="gelu")(x)
        x = layers.Dropout(0.1)(x)
    return x


def create_vit():
    inputs = layers.Input((IMAGE, IMAGE, 3))
    x = PatchTokens(PATCH, DIM)(inputs)
    for _ in range(DEPTH):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.MultiHeadAttention(HEADS, DIM // HEADS, dropout=0.1)(y, y)
        x = layers.Add()([y, x])
        z = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([mlp(z, MLP_UNITS), x])
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x[:, 0]))


class WarmUpCosine(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, base, total, warm):
        self.base, self.total, self.warm = base, total, warm

    def __call__(self, step):
        step = ops.cast(step, "float32")
        cos = 0.5 * self.base * (1 + ops.cos(3.14159 * step / self.total))
        return ops.where(step < self.warm, self.base * step / self.warm, cos)


x = np.random.rand(150, IMAGE, IMAGE, 3).astype("float32")
y = np.random.randint(0, CLASSES, (150, 1))
train_ds = (tf.data.Dataset.from_tensor_slices((x[:120], y[:120])).shuffle(BUFFER_SIZE).batch(BATCH_SIZE)
            .map(lambda a, b: (tf.image.random_flip_left_right(a), b)).prefetch(tf.data.AUTOTUNE))
test_ds = tf.data.Dataset.from_tensor_slices((x[120:], y[120:])).batch(BATCH_SIZE)
total_steps = len(train_ds) * N_EPOCHS
vit = create_vit()
vit.compile(
    optimizer=keras.optimizers.AdamW(learning_rate=WarmUpCosine(1e-3, total_steps, 3), weight_decay=1e-4),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.SparseCategoricalAccuracy("acc"), keras.metrics.SparseTopKCategoricalAccuracy(3, "top3")],
)
vit.fit(train_ds, epochs=N_EPOCHS, validation_data=test_ds,
        callbacks=[keras.callbacks.TerminateOnNaN(), keras.callbacks.CSVLogger("log.csv")])
