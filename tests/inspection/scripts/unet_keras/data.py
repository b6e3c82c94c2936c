import keras
import numpy as np


class CellImages(keras.utils.PyDataset):
    """Reads (here: makes up) image and mask pairs batch by batch."""

    def __init__(self, ids, batch_size, size, **kwargs):
        super().__init__(**kwargs)
        self.ids = list(ids)
        self.batch_size = batch_size
        self.size = size

    def __len__(self):
        return (len(self.ids) + self.batch_size - 1) // self.batch_size

    def __getitem__(self, i):
        part = self.ids[i * self.batch_size:(i + 1) * self.batch_size]
        imgs, masks = [], []
        for k in part:
            r = np.random.default_rng(k)
            img = r.random((*self.size, 1)).astype("float32")
            imgs.append(img)
            masks.append((img > 0.5).astype("float32"))
        return np.stack(imgs), np.stack(masks)
