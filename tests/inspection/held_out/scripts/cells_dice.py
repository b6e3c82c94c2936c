"""Segment cells. Images are .npz files under --root, made up on the first run."""
import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset


def make_up(root, n):
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[:48, :48]
    for i in range(n):
        cx, cy, r = rng.uniform(12, 36), rng.uniform(12, 36), rng.uniform(5, 12)
        mask = ((xx - cx) ** 2 + (yy - cy) ** 2 < r**2).astype("uint8")
        np.savez(root / f"cell_{i:03d}.npz", image=(mask * 0.6 + rng.normal(0, 0.2, mask.shape)).astype("float32"), mask=mask)


class Cells(Dataset):
    def __init__(self, root, augment=False):
        self.files = sorted(Path(root).glob("*.npz"))
        self.augment = augment

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        with np.load(self.files[index]) as f:
            image, mask = f["image"], f["mask"]
        if self.augment and np.random.rand() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        return {"image": torch.from_numpy(image.copy())[None], "mask": torch.from_numpy(mask.copy())[None].float()}


def double(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.GroupNorm(4, o), nn.SiLU(inplace=True),
                         nn.Conv2d(o, o, 3, padding=1, bias=False), nn.GroupNorm(4, o), nn.SiLU(inplace=True))


class UNet(nn.Module):
    def __init__(self, widths=(8, 16, 32)):
        super().__init__()
        self.down, last = nn.ModuleList(), 1
        for w in widths:
            self.down.append(double(last, w))
            last = w
        self.bottom = double(last, last * 2)
        last *= 2
        self.ups, self.up = nn.ModuleList(), nn.ModuleList()
        for w in reversed(widths):
            self.ups.append(nn.ConvTranspose2d(last, w, 2, stride=2))
            self.up.append(double(2 * w, w))
            last = w
        self.final = nn.Conv2d(last, 1, 1)

    def forward(self, x):
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
            x = nn.functional.max_pool2d(x, 2)
        x = self.bottom(x)
        for up, block in zip(self.ups, self.up):
            x = block(torch.cat([skips.pop(), up(x)], 1))
        return self.final(x)


class DiceBCE(nn.Module):
    def forward(self, logits, target, eps=1.0):
        p = logits.sigmoid()
        inter = (p * target).sum((1, 2, 3))
        dice = 1 - (2 * inter + eps) / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + eps)
        return dice.mean() + nn.functional.binary_cross_entropy_with_logits(logits, target)


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    ap.add_argument("--root", type=Path, default=Path("cells"))
    ap.add_argument("--bs", type=int, default=8)
    ap.add_argument("--nepochs", type=int, default=10)
    ap.add_argument("--holdout", type=float, default=0.2)
    ap.add_argument("--workers", type=int, default=0)
    opts = ap.parse_args()
    if not opts.root.exists():
        make_up(opts.root, 90)
    order = np.random.default_rng(1).permutation(len(Cells(opts.root)))
    cut = int(len(order) * opts.holdout)
    train = DataLoader(Subset(Cells(opts.root, augment=True), order[cut:]), opts.bs, shuffle=True, num_workers=opts.workers, drop_last=False)
    held = DataLoader(Subset(Cells(opts.root), order[:cut]), opts.bs, num_workers=opts.workers)
    dev = "cuda:0" if torch.cuda.is_available() else "cpu"
    net, criterion = UNet().to(dev), DiceBCE()
    optimizer = torch.optim.RAdam(net.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, epochs=opts.nepochs, steps_per_epoch=len(train))
    best = float("inf")
    for epoch in range(opts.nepochs):
        net.train()
        for sample in train:
            loss = criterion(net(sample["image"].to(dev)), sample["mask"].to(dev))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        net.eval()
        with torch.no_grad():
            score = np.mean([criterion(net(s["image"].to(dev)), s["mask"].to(dev)).item() for s in held])
        if score < best:
            best = score
            torch.save(net.state_dict(), "best.pth")
        print(f"[{epoch + 1}/{opts.nepochs}] {score:.4f}")
