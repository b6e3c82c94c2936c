import numpy as np
from tensorflow import keras

K = 4
EPOCHS = 5

rs = np.random.RandomState(42)
data = rs.randn(404, 13).astype("float32")
targets = rs.rand(404).astype("float32") * 50


def build_model():
    model = keras.models.Sequential()
    model.add(keras.layers.Input(shape=(data.shape[1],)))
    model.add(keras.layers.Dense(64, activation="relu"))
    model.add(keras.layers.Dense(64, activation="relu"))
    model.add(keras.layers.Dense(1))
    model.compile(optimizer="rmsprop", loss="mse", metrics=["mae"])
    return model


num_val = len(data) // K
scores = []
for fold in range(K):
    print("processing fold #", fold)
    val_data = data[fold * num_val:(fold + 1) * num_val]
    val_targets = targets[fold * num_val:(fold + 1) * num_val]
    part_x = np.concatenate([data[:fold * num_val], data[(fold + 1) * num_val:]], axis=0)
    part_y = np.concatenate([targets[:fold * num_val], targets[(fold + 1) * num_val:]], axis=0)
    model = build_model()
    hist = model.fit(part_x, part_y, validation_data=(val_data, val_targets), epochs=EPOCHS, batch_size=16, verbose=0)
    scores.append(hist.history["val_mae"][-1])
print(np.mean(scores))
