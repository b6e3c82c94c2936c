import os
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))

import keras
from data import CellImages
from unet import get_unet

IMG_SIZE = (64, 64)
BATCH_SIZE = 6
EPOCHS = 2


def dice_loss(y_true, y_pred):
    inter = keras.ops.sum(y_true * y_pred)
    return 1 - (2 * inter + 1) / (keras.ops.sum(y_true) + keras.ops.sum(y_pred) + 1)


ids = list(range(80))
train = CellImages(ids[:62], BATCH_SIZE, IMG_SIZE, workers=1)
val = CellImages(ids[62:], BATCH_SIZE, IMG_SIZE)

unet = get_unet(IMG_SIZE)
unet.compile(optimizer=keras.optimizers.Nadam(1e-4), loss=dice_loss)
callbacks = [
    keras.callbacks.ModelCheckpoint("unet_best.keras", save_best_only=True),
    keras.callbacks.ReduceLROnPlateau(patience=3),
]
unet.fit(train, validation_data=val, epochs=EPOCHS, callbacks=callbacks)
