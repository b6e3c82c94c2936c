"""Age, gender and mood from one face crop: shared convolutional trunk, three heads (Keras functional API)."""
import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import Input, Model, layers

IMG = 40
BATCH = 24
EPOCHS = 3


def conv_block(x, filters, name):
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    x = layers.ReLU(name=f"{name}_relu")(x)
    return layers.MaxPooling2D(2, name=f"{name}_pool")(x)


def make_model():
    inp = Input((IMG, IMG, 3), name="face")
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(inp)
    x = conv_block(x, 32, "b1")
    x = conv_block(x, 64, "b2")
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3)(x)
    age = layers.Dense(1, name="age")(layers.Dense(32, activation="relu")(x))
    gender = layers.Dense(1, activation="sigmoid", name="gender")(x)
    mood = layers.Dense(5, activation="softmax", name="mood")(layers.Dense(16, activation="relu")(x))
    return Model(inputs=inp, outputs=[age, gender, mood])


def load(n, seed):
    rng = np.random.RandomState(seed)
    x = rng.uniform(size=(n, IMG, IMG, 3)).astype("float32")
    y = {
        "age": rng.uniform(1, 90, size=(n, 1)).astype("float32"),
        "gender": rng.randint(0, 2, size=(n, 1)).astype("float32"),
        "mood": keras.utils.to_categorical(rng.randint(0, 5, n), 5),
    }
    return x, y


x, y = load(420, 0)
model = make_model()
model.compile(
    optimizer=keras.optimizers.RMSprop(learning_rate=keras.optimizers.schedules.ExponentialDecay(1e-3, 100, 0.9)),
    loss={"age": "huber", "gender": "binary_crossentropy", "mood": "categorical_crossentropy"},
    loss_weights={"age": 0.05, "gender": 1.0, "mood": 1.0},
    metrics={"gender": "accuracy", "mood": "accuracy"},
)
model.summary()
cbs = [keras.callbacks.CSVLogger("faces.csv"), keras.callbacks.TerminateOnNaN(),
       keras.callbacks.ModelCheckpoint("faces.weights.h5", save_weights_only=True, save_best_only=True, monitor="val_loss")]
model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, validation_split=0.2, shuffle=True, callbacks=cbs, verbose=2)

xt, yt = load(60, 1)
print(model.evaluate(xt, yt, batch_size=BATCH, return_dict=True, verbose=0))
