from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader

from data import Windows, series
from engine import evaluate, train_one_epoch
from model import build


@dataclass
class Settings:
    past: int = 30
    ahead: int = 5
    channels: int = 4
    hidden: int = 32
    bs: int = 25
    epochs: int = 3
    lr: float = 2e-3
    seed: int = 11


def run(s: Settings):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    whole = series(1200, s.channels, s.seed)
    edge = 900
    train = DataLoader(Windows(whole[:edge], s.past, s.ahead), batch_size=s.bs, shuffle=True, drop_last=True, num_workers=2)
    test = DataLoader(Windows(whole[edge:], s.past, s.ahead, stride=5), batch_size=s.bs * 2)
    model = build(s).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=s.lr, momentum=0.9)
    cyclic = torch.optim.lr_scheduler.CyclicLR(optimizer, base_lr=s.lr / 10, max_lr=s.lr, step_size_up=20)
    loss_fn = torch.nn.SmoothL1Loss()
    for e in range(s.epochs):
        a = train_one_epoch(model, train, optimizer, loss_fn, device)
        b = evaluate(model, test, loss_fn, device)
        cyclic.step()
        print(f"{e:>3} {a:.5f} {b:.5f}")


if __name__ == "__main__":
    run(Settings())
