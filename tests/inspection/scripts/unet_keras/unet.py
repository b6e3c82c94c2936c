from keras import Input, Model
from keras.layers import Conv2D, Conv2DTranspose, MaxPooling2D, concatenate, BatchNormalization, Activation


def double_conv(x, f):
    for _ in range(2):
        x = Conv2D(f, 3, padding="same", kernel_initializer="he_normal")(x)
        x = BatchNormalization()(x)
        x = Activation("relu")(x)
    return x


def get_unet(img_size, channels=1, base=8, depth=3, n_classes=1):
    inp = Input(img_size + (channels,))
    skips, x = [], inp
    for level in range(depth):
        x = double_conv(x, base * 2 ** level)
        skips.append(x)
        x = MaxPooling2D()(x)
    x = double_conv(x, base * 2 ** depth)
    for level in reversed(range(depth)):
        x = Conv2DTranspose(base * 2 ** level, 2, strides=2, padding="same")(x)
        x = concatenate([x, skips[level]])
        x = double_conv(x, base * 2 ** level)
    out = Conv2D(n_classes, 1, activation="sigmoid")(x)
    return Model(inp, out, name="unet")
