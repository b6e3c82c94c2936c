import json
from pathlib import Path

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).resolve().parent
with open(HERE / "text_transformer_keras.json") as f:
    C = json.load(f)


class TransformerBlock(layers.Layer):
    def __init__(self, embed_dim, num_heads, ff_dim, rate=0.1):
        super().__init__()
        self.att = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim // num_heads)
        self.ffn = keras.Sequential([layers.Dense(ff_dim, activation="gelu"), layers.Dense(embed_dim)])
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout1 = layers.Dropout(rate)
        self.dropout2 = layers.Dropout(rate)

    def call(self, inputs, training=None):
        attn_output = self.att(inputs, inputs)
        out1 = self.layernorm1(inputs + self.dropout1(attn_output, training=training))
        ffn_output = self.ffn(out1)
        return self.layernorm2(out1 + self.dropout2(ffn_output, training=training))


class TokenAndPositionEmbedding(layers.Layer):
    def __init__(self, maxlen, vocab, dim):
        super().__init__()
        self.tok = layers.Embedding(vocab, dim)
        self.pos = layers.Embedding(maxlen, dim)
        self.maxlen = maxlen

    def call(self, x):
        return self.tok(x) + self.pos(keras.ops.arange(self.maxlen))


m, t = C["model"], C["training"]
inputs = layers.Input(shape=(m["maxlen"],), dtype="int32")
x = TokenAndPositionEmbedding(m["maxlen"], m["vocab_size"], m["embed_dim"])(inputs)
for _ in range(m["blocks"]):
    x = TransformerBlock(m["embed_dim"], m["num_heads"], m["ff_dim"])(x)
x = layers.GlobalAveragePooling1D()(x)
x = layers.Dropout(0.1)(x)
outputs = layers.Dense(m["classes"], activation="softmax")(x)
model = keras.Model(inputs, outputs)

opt = getattr(keras.optimizers, t["optimizer"])(learning_rate=t["lr"], weight_decay=t["weight_decay"])
model.compile(opt, "sparse_categorical_crossentropy", metrics=["accuracy"])
xs = np.random.randint(0, m["vocab_size"], (t["examples"], m["maxlen"]))
ys = np.random.randint(0, m["classes"], t["examples"])
n_val = int(t["val_fraction"] * len(xs))
model.fit(xs[n_val:], ys[n_val:], validation_data=(xs[:n_val], ys[:n_val]), **t["fit"])
