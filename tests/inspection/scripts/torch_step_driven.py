import argparse
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def cycle(dl):
    while True:
        for batch in dl:
            yield batch


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=3)
    p.add_argument("--batch-size", type=int, default=20)
    p.add_argument("--n", type=int, default=500)
    p.add_argument("--eval-every", type=int, default=25)
    return p.parse_args()


def evaluate(net, dl):
    net.eval()
    hits = 0
    with torch.no_grad():
        for x, y in dl:
            hits += (net(x).argmax(-1) == y).sum().item()
    net.train()
    return hits / len(dl.dataset)


def main():
    a = parse()
    train = TensorDataset(torch.randn(a.n, 1, 16, 16), torch.randint(0, 5, (a.n,)))
    test = TensorDataset(torch.randn(100, 1, 16, 16), torch.randint(0, 5, (100,)))
    loader = DataLoader(train, a.batch_size, shuffle=True)
    test_loader = DataLoader(test, 50)
    net = nn.Sequential(nn.Conv2d(1, 12, 3), nn.ReLU(), nn.Conv2d(12, 24, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))
    net(torch.zeros(1, 1, 16, 16))
    opt = torch.optim.NAdam(net.parameters())
    stream = cycle(loader)
    step = 0
    while step < a.epochs * len(loader):
        x, y = next(stream)
        opt.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        opt.step()
        step += 1
        if step % a.eval_every == 0:
            print(step, evaluate(net, test_loader))


if __name__ == "__main__":
    main()
