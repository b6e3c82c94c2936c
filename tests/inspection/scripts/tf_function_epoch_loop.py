"""Low-level TensorFlow: own variables, a whole epoch inside one tf.function."""
import tensorflow as tf


class Dense(tf.Module):
    def __init__(self, n_in, n_out, name=None):
        super().__init__(name=name)
        self.w = tf.Variable(tf.random.normal([n_in, n_out], stddev=n_in ** -0.5), name="w")
        self.b = tf.Variable(tf.zeros([n_out]), name="b")

    def __call__(self, x):
        return x @ self.w + self.b


class MLP(tf.Module):
    def __init__(self, sizes, name=None):
        super().__init__(name=name)
        self.layers = [Dense(a, b) for a, b in zip(sizes[:-1], sizes[1:])]

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = tf.nn.relu(layer(x))
        return self.layers[-1](x)


net = MLP([50, 100, 100, 2])
opt = tf.keras.optimizers.Adagrad(0.05)
ds = tf.data.Dataset.from_tensor_slices(
    (tf.random.normal([960, 50]), tf.random.uniform([960], maxval=2, dtype=tf.int32))
).shuffle(960).batch(48)


@tf.function
def run_epoch():
    total = tf.constant(0.0)
    for x, y in ds:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=net(x)))
        g = tape.gradient(loss, net.trainable_variables)
        opt.apply_gradients(zip(g, net.trainable_variables))
        total += loss
    return total


for e in range(1, 8):
    tf.print("epoch", e, run_epoch())
