#!/usr/bin/env python
import json
import sys
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

from network import UNet


class Vessels(Dataset):
    def __init__(self, n, size):
        self.n, self.size = n, size

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        torch.manual_seed(i)
        img = torch.rand(3, self.size, self.size)
        return img, (img.mean(0) > 0.5).long()


class Experiment:
    def __init__(self, settings):
        self.s = settings
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.net = UNet(**settings["arch"]).to(self.device)
        opt_class = getattr(torch.optim, settings["optim"]["name"])
        self.opt = opt_class(self.net.parameters(), **settings["optim"]["args"])
        d = settings["data"]
        self.train_dl = DataLoader(Vessels(d["train"], d["size"]), shuffle=True, **settings["loader"])
        self.val_dl = DataLoader(Vessels(d["val"], d["size"]), **settings["loader"])
        self.loss = torch.nn.CrossEntropyLoss(weight=torch.tensor([0.3, 0.7], device=self.device))

    def fit(self):
        for self.epoch in range(self.s["epochs"]):
            self.net.train()
            tr = [self.step(*b) for b in self.train_dl]
            self.net.eval()
            with torch.no_grad():
                va = [self.loss(self.net(x.to(self.device)), y.to(self.device)).item() for x, y in self.val_dl]
            print(self.epoch, sum(tr) / len(tr), sum(va) / len(va))

    def step(self, x, y):
        self.opt.zero_grad()
        loss = self.loss(self.net(x.to(self.device)), y.to(self.device))
        loss.backward()
        self.opt.step()
        return loss.item()


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("settings.json")
    Experiment(json.loads(path.read_text())).fit()
