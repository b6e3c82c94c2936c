"""IMDB like sentiment classification, bidirectional LSTM, adapted from a tutorial."""
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Embedding, LSTM, Bidirectional, Dense, SpatialDropout1D
from tensorflow.keras.preprocessing.sequence import pad_sequences
from tensorflow.keras.callbacks import EarlyStopping
import random

MAX_FEATURES = 5000
MAXLEN = 40
EMBED = 64

random.seed(3)


def fake_reviews(n):
    reviews, labels = [], []
    for _ in range(n):
        length = random.randint(5, 80)
        reviews.append([random.randint(1, MAX_FEATURES - 1) for _ in range(length)])
        labels.append(random.randint(0, 1))
    return pad_sequences(reviews, maxlen=MAXLEN), labels


import numpy as np

X, y = fake_reviews(600)
Xtest, ytest = fake_reviews(120)
y, ytest = np.array(y), np.array(ytest)

model = Sequential()
model.add(Embedding(MAX_FEATURES, EMBED))
model.add(SpatialDropout1D(0.2))
model.add(Bidirectional(LSTM(48)))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy"])

es = EarlyStopping(monitor="val_loss", patience=20, restore_best_weights=True)
history = model.fit(X, y, batch_size=50, epochs=3, validation_data=(Xtest, ytest), callbacks=[es], verbose=2)
best = min(history.history["val_loss"])
print(f"best val loss {best:.4f}")
