"""Rare-event tabular classifier: balanced batches by WeightedRandomSampler, embeddings for categories."""
import os
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

CARDINALITIES = [12, 7, 31]
CONFIG = {
    "n_rows": 2000, "n_test": 400, "numeric": 10, "batch_size": 50, "max_epoch": 6, "lr": 3e-3, "ckpt": "fraud_last.pt",
}


class Transactions(Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.cat = torch.stack([torch.randint(c, (n,), generator=g) for c in CARDINALITIES], 1)
        self.num = torch.randn(n, CONFIG["numeric"], generator=g)
        self.label = (torch.rand(n, generator=g) < 0.04).long()

    def __len__(self):
        return self.label.numel()

    def __getitem__(self, idx):
        return self.num[idx], self.cat[idx], self.label[idx]

    def weights(self):
        counts = torch.bincount(self.label, minlength=2).double()
        return (1.0 / counts)[self.label]


class TabNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.ModuleList([nn.Embedding(c, min(16, (c + 1) // 2)) for c in CARDINALITIES])
        width = CONFIG["numeric"] + sum(e.embedding_dim for e in self.emb)
        self.bn = nn.BatchNorm1d(CONFIG["numeric"])
        self.mlp = nn.Sequential(nn.Linear(width, 100), nn.LeakyReLU(), nn.Dropout(0.2), nn.Linear(100, 40), nn.LeakyReLU(), nn.Linear(40, 2))

    def forward(self, num, cat):
        return self.mlp(torch.cat([self.bn(num)] + [e(cat[:, i]) for i, e in enumerate(self.emb)], dim=1))


def main():
    train_set, test_set = Transactions(CONFIG["n_rows"], 0), Transactions(CONFIG["n_test"], 1)
    sampler = WeightedRandomSampler(train_set.weights(), num_samples=1000, replacement=True)
    train_loader = DataLoader(train_set, batch_size=CONFIG["batch_size"], sampler=sampler)
    test_loader = DataLoader(test_set, batch_size=200)
    model = TabNet()
    optim = torch.optim.Adagrad(model.parameters(), lr=CONFIG["lr"])
    sched = torch.optim.lr_scheduler.ReduceLROnPlateau(optim, patience=1)
    first = 0
    if os.path.exists(CONFIG["ckpt"]):
        state = torch.load(CONFIG["ckpt"])
        model.load_state_dict(state["model"]); optim.load_state_dict(state["optim"]); first = state["epoch"] + 1
    for epoch in range(first, CONFIG["max_epoch"]):
        model.train()
        for num, cat, label in train_loader:
            optim.zero_grad()
            logits = model(num, cat)
            loss = nn.functional.cross_entropy(logits, label, weight=torch.tensor([1.0, 2.0]))
            loss.backward()
            optim.step()
        model.eval()
        total, tp = 0.0, 0
        with torch.no_grad():
            for num, cat, label in test_loader:
                logits = model(num, cat)
                total += nn.functional.cross_entropy(logits, label, reduction="sum").item()
                tp += ((logits.argmax(1) == 1) & (label == 1)).sum().item()
        sched.step(total / len(test_set))
        torch.save({"model": model.state_dict(), "optim": optim.state_dict(), "epoch": epoch}, CONFIG["ckpt"])
        print(epoch, total / len(test_set), tp)


main()
