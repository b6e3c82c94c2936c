"""Streams samples from a generator: nobody knows the length in advance."""
import itertools
import torch
from torch.utils.data import IterableDataset, DataLoader, get_worker_info

hparams = dict(bs=16, max_steps=150, width=128, lr=1e-2, log_every=50)


class Stream(IterableDataset):
    def __init__(self, seed=0):
        self.seed = seed

    def __iter__(self):
        info = get_worker_info()
        g = torch.Generator().manual_seed(self.seed + (info.id if info else 0))
        while True:
            x = torch.randn(40, generator=g)
            yield x, (x.sum() > 0).float()


def run(hp):
    mlp = torch.nn.Sequential(torch.nn.Linear(40, hp["width"]), torch.nn.ReLU(), torch.nn.Linear(hp["width"], 1))
    opt = torch.optim.RMSprop(mlp.parameters(), lr=hp["lr"])
    loader = DataLoader(Stream(), batch_size=hp["bs"])
    for step, (x, y) in enumerate(itertools.islice(loader, hp["max_steps"])):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(mlp(x)[:, 0], y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % hp["log_every"] == 0:
            print(step, loss.item())


run(hparams)
