# Hourly load forecasting after the Keras "timeseries weather" example
import numpy as np
import keras
from keras import layers

rng = np.random.default_rng(42)
HOURS = 1500
t = np.arange(HOURS)
load = 50 + 10 * np.sin(2 * np.pi * t / 24) + 5 * np.sin(2 * np.pi * t / 168) + rng.normal(0, 1, HOURS)
temp = 15 + 8 * np.sin(2 * np.pi * (t - 4) / 24) + rng.normal(0, 1, HOURS)
hour = (t % 24) / 23.0
features = np.stack([load, temp, hour], axis=-1).astype("float32")

split = int(HOURS * 0.7)
mean, std = features[:split].mean(0), features[:split].std(0)
features = (features - mean) / std

past, future, step = 48, 12, 2
config = dict(batch_size=32, epochs=4, lr=1e-3)
start = past + future
seq_len = past // step

x_train, y_train = features[:split], features[start:start + split, 0]
x_val, y_val = features[split:-start], features[split + start:, 0]

dataset_train = keras.utils.timeseries_dataset_from_array(
    x_train, y_train, sequence_length=seq_len, sampling_rate=step, batch_size=config["batch_size"])
dataset_val = keras.utils.timeseries_dataset_from_array(
    x_val, y_val, sequence_length=seq_len, sampling_rate=step, batch_size=config["batch_size"])

inputs = layers.Input(shape=(seq_len, features.shape[-1]))
h = layers.Conv1D(32, 5, padding="causal", activation="relu")(inputs)
h = layers.Conv1D(32, 5, padding="causal", activation="relu")(h)
h = layers.MaxPooling1D(2)(h)
h = layers.Conv1D(64, 3, activation="relu")(h)
h = layers.Flatten()(h)
outputs = layers.Dense(1)(layers.Dense(48, activation="gelu")(h))
model = keras.Model(inputs, outputs)
model.compile(optimizer=keras.optimizers.AdamW(learning_rate=config["lr"], weight_decay=1e-4), loss="mse")

plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", patience=2)
model.fit(dataset_train, epochs=config["epochs"], validation_data=dataset_val, callbacks=[plateau], verbose=0)
for x, y in dataset_val.take(2):
    print("mae", float(np.abs(model.predict(x, verbose=0)[:, 0] - y.numpy()).mean()) * std[0])
