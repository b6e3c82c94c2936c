import csv, os, random, tempfile
import numpy as np
import tensorflow as tf
from tensorflow.keras import layers, Model, Input, optimizers

def write_csv(path, rows):
    with open(path, "w", newline="") as f:
        w = csv.writer(f); w.writerow(["age", "income", "city", "job", "bought"])
        for k in range(rows):
            rnd = random.Random(k)
            w.writerow([rnd.randint(18, 90), rnd.gauss(30, 9), rnd.randint(0, 19), rnd.randint(0, 7), rnd.randint(0, 1)])

def read_csv(path):
    with open(path) as f:
        rows = list(csv.DictReader(f))
    num = np.array([[float(r["age"]) / 90, float(r["income"]) / 60] for r in rows], "float32")
    return {"numeric": num, "city": np.array([int(r["city"]) for r in rows]), "job": np.array([int(r["job"]) for r in rows])}, \
        np.array([int(r["bought"]) for r in rows], "float32")

with tempfile.TemporaryDirectory() as d:
    write_csv(os.path.join(d, "customers.csv"), 520)
    features, target = read_csv(os.path.join(d, "customers.csv"))

inputs, encoded = {}, []
inputs["numeric"] = Input((2,), name="numeric"); encoded.append(inputs["numeric"])
for name, card, dim in (("city", 20, 6), ("job", 8, 4)):
    inputs[name] = Input((), dtype="int32", name=name)
    encoded.append(layers.Embedding(card, dim)(inputs[name]))
h = layers.concatenate(encoded)
for units in (64, 32):
    h = layers.Dense(units)(h); h = layers.BatchNormalization()(h); h = layers.Activation("selu")(h)
out = layers.Dense(1, activation="sigmoid")(h)
m = Model(inputs, out)
m.compile(optimizers.Ftrl(0.05), "binary_crossentropy", metrics=[tf.keras.metrics.AUC()])
m.fit(features, target, validation_split=0.25, batch_size=26, epochs=4, class_weight={0: 1.0, 1: 2.0}, verbose=0)
