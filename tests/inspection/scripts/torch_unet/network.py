import torch
import torch.nn as nn


class DoubleConv(nn.Sequential):
    def __init__(self, a, b):
        super().__init__(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(),
                         nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())


class UNet(nn.Module):
    def __init__(self, in_channels, out_channels, features):
        super().__init__()
        self.downs, self.ups, self.convs = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        c = in_channels
        for f in features:
            self.downs.append(DoubleConv(c, f))
            c = f
        self.bottom = DoubleConv(c, 2 * c)
        for f in reversed(features):
            self.ups.append(nn.ConvTranspose2d(2 * f, f, 2, 2))
            self.convs.append(DoubleConv(2 * f, f))
        self.final = nn.Conv2d(features[0], out_channels, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        skips = []
        for d in self.downs:
            x = d(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for up, conv, skip in zip(self.ups, self.convs, reversed(skips)):
            x = conv(torch.cat([skip, up(x)], dim=1))
        return self.final(x)
