#!/usr/bin/env python3
"""ResNet-50 written out, trained in bfloat16 autocast. No torchvision on our cluster."""
import argparse
from functools import partial

import torch
from torch import nn


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, cin, width, stride=1):
        super().__init__()
        cout = width * self.expansion
        self.body = nn.Sequential(
            nn.Conv2d(cin, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True),
            nn.Conv2d(width, cout, 1, bias=False), nn.BatchNorm2d(cout))
        self.down = None
        if stride != 1 or cin != cout:
            self.down = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
        self.act = nn.ReLU(True)

    def forward(self, x):
        return self.act(self.body(x) + (x if self.down is None else self.down(x)))


def resnet50(num_classes):
    mods = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)]
    cin = 64
    for width, n, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for k in range(n):
            mods.append(Bottleneck(cin, width, stride if k == 0 else 1))
            cin = width * 4
    return nn.Sequential(*mods, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(cin, num_classes))


def main(opt):
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    train = torch.utils.data.TensorDataset(torch.randn(opt.samples, 3, opt.res, opt.res),
                                           torch.randint(0, opt.classes, (opt.samples,)))
    make = partial(torch.utils.data.DataLoader, batch_size=opt.batch, pin_memory=dev == "cuda")
    model = resnet50(opt.classes).to(dev)
    optim = torch.optim.SGD(model.parameters(), opt.lr, momentum=0.9, weight_decay=1e-4)
    sched = torch.optim.lr_scheduler.StepLR(optim, 30)
    scaler = torch.amp.GradScaler(dev, enabled=dev == "cuda")
    for epoch in range(opt.epochs):
        model.train()
        for x, y in make(train, shuffle=True, drop_last=True):
            x, y = x.to(dev, non_blocking=True), y.to(dev, non_blocking=True)
            with torch.autocast(dev, dtype=torch.bfloat16):
                loss = nn.functional.cross_entropy(model(x), y)
            optim.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optim)
            scaler.update()
        sched.step()
        print(epoch, float(loss))
    torch.save(model.state_dict(), "resnet50.pt")


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--samples", type=int, default=1281167)
    p.add_argument("--classes", type=int, default=1000)
    p.add_argument("--res", type=int, default=224)
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--epochs", type=int, default=90)
    p.add_argument("--lr", type=float, default=0.1)
    main(p.parse_args())
