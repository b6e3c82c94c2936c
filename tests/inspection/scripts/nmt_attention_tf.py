# Neural machine translation with attention, after the old TF tutorial
import tensorflow as tf
import numpy as np

BUFFER_SIZE = 240
BATCH_SIZE = 16
embedding_dim = 24
units = 40
vocab_inp_size, vocab_tar_size = 120, 140
max_len_inp, max_len_targ = 9, 7
steps_per_epoch = BUFFER_SIZE // BATCH_SIZE

inp = np.random.randint(1, vocab_inp_size, (BUFFER_SIZE, max_len_inp))
targ = np.random.randint(1, vocab_tar_size, (BUFFER_SIZE, max_len_targ))
dataset = tf.data.Dataset.from_tensor_slices((inp, targ)).shuffle(BUFFER_SIZE)
dataset = dataset.batch(BATCH_SIZE, drop_remainder=True)


class Encoder(tf.keras.Model):
    def __init__(self, vocab_size, embedding_dim, enc_units):
        super().__init__()
        self.embedding = tf.keras.layers.Embedding(vocab_size, embedding_dim)
        self.gru = tf.keras.layers.GRU(enc_units, return_sequences=True, return_state=True)

    def call(self, x):
        return self.gru(self.embedding(x))


class BahdanauAttention(tf.keras.layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.W1 = tf.keras.layers.Dense(units)
        self.W2 = tf.keras.layers.Dense(units)
        self.V = tf.keras.layers.Dense(1)

    def call(self, query, values):
        score = self.V(tf.nn.tanh(self.W1(tf.expand_dims(query, 1)) + self.W2(values)))
        weights = tf.nn.softmax(score, axis=1)
        return tf.reduce_sum(weights * values, axis=1)


class Decoder(tf.keras.Model):
    def __init__(self, vocab_size, embedding_dim, dec_units):
        super().__init__()
        self.embedding = tf.keras.layers.Embedding(vocab_size, embedding_dim)
        self.gru = tf.keras.layers.GRU(dec_units, return_state=True)
        self.fc = tf.keras.layers.Dense(vocab_size)
        self.attention = BahdanauAttention(dec_units)

    def call(self, x, hidden, enc_output):
        context = self.attention(hidden, enc_output)
        x = tf.concat([tf.expand_dims(context, 1), self.embedding(x)], axis=-1)
        out, state = self.gru(x, initial_state=hidden)
        return self.fc(out), state


encoder = Encoder(vocab_inp_size, embedding_dim, units)
decoder = Decoder(vocab_tar_size, embedding_dim, units)
optimizer = tf.keras.optimizers.Adam(clipvalue=0.5)
loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(inp, targ):
    loss = 0.0
    with tf.GradientTape() as tape:
        enc_output, hidden = encoder(inp)
        for t in range(1, max_len_targ):
            predictions, hidden = decoder(targ[:, t - 1:t], hidden, enc_output)
            loss += loss_object(targ[:, t], predictions)
    variables = encoder.trainable_variables + decoder.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    return loss / (max_len_targ - 1)


EPOCHS = 2
for epoch in range(EPOCHS):
    total_loss = 0
    for (batch, (i, t)) in enumerate(dataset.take(steps_per_epoch)):
        total_loss += train_step(i, t)
    print(f"Epoch {epoch + 1} Loss {total_loss / steps_per_epoch:.4f}")
