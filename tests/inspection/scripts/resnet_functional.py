"""Small pre-activation ResNet written with the functional API."""
import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import keras
from keras import layers, regularizers


def conv(x, filters, stride=1, k=3, wd=1e-4):
    return layers.Conv2D(filters, k, strides=stride, padding="same", use_bias=False,
                         kernel_regularizer=regularizers.l2(wd))(x)


def block(x, filters, stride):
    shortcut = x
    y = layers.BatchNormalization()(x)
    y = layers.ReLU()(y)
    if stride != 1 or x.shape[-1] != filters:
        shortcut = conv(y, filters, stride, k=1)
    y = conv(y, filters, stride)
    y = layers.BatchNormalization()(y)
    y = layers.ReLU()(y)
    y = conv(y, filters)
    return layers.Add()([shortcut, y])


def resnet(size, n_classes, widths, n):
    inp = keras.Input((size, size, 3), name="image")
    x = conv(inp, widths[0])
    for i, w in enumerate(widths):
        for j in range(n):
            x = block(x, w, 2 if j == 0 and i > 0 else 1)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inp, layers.Dense(n_classes)(x), name="preact_resnet")


def get_args():
    ap = argparse.ArgumentParser()
    ap.add_argument("-b", "--bs", default=64, type=int)
    ap.add_argument("--max-epochs", default=100, type=int)
    ap.add_argument("--lr", default=0.1, type=float)
    ap.add_argument("--n", default=1, type=int, help="blocks per stage")
    ap.add_argument("--num-images", default=50000, type=int)
    return ap.parse_args()


def main():
    args = get_args()
    rng = np.random.default_rng(0)
    n = args.num_images
    x = rng.random((n, 32, 32, 3), dtype="float32")
    y = rng.integers(0, 10, n)
    xv, yv = x[: n // 5], y[: n // 5]
    net = resnet(32, 10, (16, 32, 64), args.n)
    sched = keras.optimizers.schedules.CosineDecay(args.lr, args.max_epochs * (n // args.bs))
    net.compile(
        keras.optimizers.SGD(sched, momentum=0.9, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["acc"],
    )
    net.fit(x, y, args.bs, args.max_epochs, validation_data=(xv, yv), verbose=2)


if __name__ == "__main__":
    main()
