"""Raw strings to sentiment: TextVectorization, embedding and a small convolutional net, all from tf.data."""
import os
import random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

VOCAB, LENGTH, EMBED = 400, 30, 32
BATCH_SIZE = int(os.environ.get("BATCH_SIZE", 20))
NUM_EPOCHS = 3
good = "great lovely funny superb moving bright sharp warm".split()
bad = "dull awful boring flat weak noisy stale grim".split()
filler = [f"w{i}" for i in range(300)]


def review(positive):
    words = random.choices(filler, k=random.randint(10, 25)) + random.choices(good if positive else bad, k=4)
    random.shuffle(words)
    return " ".join(words).capitalize() + "."


random.seed(3)
labels = [i % 2 for i in range(500)]
texts = [review(l) for l in labels]
full = tf.data.Dataset.from_tensor_slices((texts, labels)).shuffle(500, seed=1, reshuffle_each_iteration=False)
test_ds, val_ds, train_ds = full.take(50), full.skip(50).take(90), full.skip(140)

vectorize = tf.keras.layers.TextVectorization(
    max_tokens=VOCAB, output_mode="int", output_sequence_length=LENGTH)
vectorize.adapt(train_ds.map(lambda text, _label: text).batch(64))


def prepared(ds, training=False):
    ds = ds.batch(BATCH_SIZE)
    ds = ds.map(lambda text, label: (vectorize(text), tf.cast(label, tf.float32)[:, None]), num_parallel_calls=2)
    return ds.cache().prefetch(buffer_size=tf.data.AUTOTUNE)


model = tf.keras.models.Sequential(name="reviews")
model.add(tf.keras.layers.Embedding(VOCAB, EMBED, input_length=LENGTH) if tf.__version__ < "2.16"
          else tf.keras.layers.Embedding(VOCAB, EMBED))
model.add(tf.keras.layers.Conv1D(48, 7, strides=3, padding="valid", activation="relu"))
model.add(tf.keras.layers.GlobalMaxPooling1D())
model.add(tf.keras.layers.Dense(24, activation="relu"))
model.add(tf.keras.layers.Dropout(0.5))
model.add(tf.keras.layers.Dense(1))
model.compile(loss=tf.keras.losses.BinaryCrossentropy(from_logits=True), optimizer="adam",
              metrics=[tf.keras.metrics.BinaryAccuracy(threshold=0.0)])
model.fit(prepared(train_ds, True), validation_data=prepared(val_ds), epochs=NUM_EPOCHS, verbose=2)
print("test", model.evaluate(prepared(test_ds), verbose=0))
