import numpy as np, torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset, DataLoader, BatchSampler, RandomSampler

class params:
    n_users = 400
    n_items = 250
    emb = 24
    batch_size = 64
    epochs = 3
    lr = 5e-3
    neg_ratio = 3

class Interactions(Dataset):
    """positives plus sampled negatives"""
    def __init__(self, n_pos, seed):
        r = np.random.default_rng(seed)
        u = r.integers(params.n_users, size=n_pos); i = r.integers(params.n_items, size=n_pos)
        self.u = np.concatenate([u, np.repeat(u, params.neg_ratio)])
        self.i = np.concatenate([i, r.integers(params.n_items, size=n_pos * params.neg_ratio)])
        self.y = np.concatenate([np.ones(n_pos), np.zeros(n_pos * params.neg_ratio)]).astype("float32")
    def __len__(self): return len(self.y)
    def __getitem__(self, idx):
        return {"user": torch.as_tensor(self.u[idx]), "item": torch.as_tensor(self.i[idx]), "y": torch.as_tensor(self.y[idx])}

class Tower(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.e = nn.Embedding(n, params.emb)
        self.f = nn.Sequential(nn.Linear(params.emb, 48), nn.ReLU(), nn.Linear(48, 16))
    def forward(self, ids): return F.normalize(self.f(self.e(ids)), dim=-1)

class TwoTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.user, self.item = Tower(params.n_users), Tower(params.n_items)
        self.scale = nn.Parameter(torch.tensor(5.0))
    def forward(self, batch): return self.scale * (self.user(batch["user"]) * self.item(batch["item"])).sum(-1)

train = Interactions(300, 0); valid = Interactions(60, 1)
sampler = BatchSampler(RandomSampler(train), params.batch_size, drop_last=False)
train_dl = DataLoader(train, sampler=sampler, batch_size=None)
valid_dl = DataLoader(valid, batch_size=params.batch_size * 2)
net = TwoTower()
opt = torch.optim.Adam([{"params": net.user.parameters()}, {"params": net.item.parameters()}, {"params": [net.scale], "lr": 1e-2}], lr=params.lr)
best, patience = float("inf"), 0
for ep in range(params.epochs):
    net.train()
    for batch in train_dl:
        loss = F.binary_cross_entropy_with_logits(net(batch), batch["y"])
        opt.zero_grad(); loss.backward(); opt.step()
    net.eval()
    with torch.no_grad():
        vl = np.mean([F.binary_cross_entropy_with_logits(net(b), b["y"]).item() for b in valid_dl])
    patience = 0 if vl < best else patience + 1
    best = min(best, vl)
    print(ep, vl)
    if patience > 5: break
