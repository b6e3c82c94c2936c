"""Linear probe on a frozen convolutional encoder, weights from a previous project if they are there."""
import os
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

CKPT = os.path.expanduser("~/does/not/exist/encoder.pt")
BATCH_SIZE, NUM_EPOCHS, LR = 25, 4, 1e-3


def encoder():
    def stage(i, o):
        return [nn.Conv2d(i, o, 3, 2, 1), nn.GroupNorm(4, o), nn.SiLU(inplace=True)]
    return nn.Sequential(*stage(3, 16), *stage(16, 32), *stage(32, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class LinearProbe(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.backbone = encoder()
        if os.path.isfile(CKPT):
            self.backbone.load_state_dict(torch.load(CKPT))
        for p in self.backbone.parameters():
            p.requires_grad_(False)
        self.classifier = nn.Linear(64, n_classes)

    def forward(self, x):
        return self.classifier(self.backbone(x))


torch.manual_seed(0)
ds = TensorDataset(torch.randn(300, 3, 40, 40), torch.randint(0, 7, (300,)))
tr, va = torch.utils.data.random_split(ds, [0.75, 0.25])
model = LinearProbe(7)
opt = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=LR, momentum=0.9)
for epoch in range(NUM_EPOCHS):
    for x, y in DataLoader(tr, BATCH_SIZE, shuffle=True):
        loss = nn.functional.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        good = sum((model(x).argmax(1) == y).sum().item() for x, y in DataLoader(va, BATCH_SIZE))
    print(f"{epoch}: {good / len(va):.3f}")
