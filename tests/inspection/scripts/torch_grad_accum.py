import torch, math
from torch import nn
from torch.utils.data import DataLoader, random_split

ACCUM = 4
MICRO_BATCH = 8
N_EPOCH = 3
torch.manual_seed(0)

class Squares(torch.utils.data.Dataset):
    def __init__(self, n): self.x = torch.rand(n, 12)
    def __len__(self): return len(self.x)
    def __getitem__(self, i): return {"features": self.x[i], "target": (self.x[i] ** 2).sum()}

full = Squares(640)
train_set, val_set = random_split(full, [512, 128])
train_dl = DataLoader(train_set, MICRO_BATCH, shuffle=True)
val_dl = DataLoader(val_set, 64)

model = nn.Sequential(nn.Linear(12, 96), nn.GELU(), nn.Linear(96, 96), nn.GELU(), nn.Linear(96, 1))
opt = torch.optim.AdamW(model.parameters(), lr=3e-4)
mse = nn.MSELoss()

for ep in range(1, N_EPOCH + 1):
    model.train()
    for i, batch in enumerate(train_dl):
        pred = model(batch["features"]).squeeze(-1)
        loss = mse(pred, batch["target"]) / ACCUM
        loss.backward()
        if (i + 1) % ACCUM == 0:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            opt.zero_grad()
    model.eval()
    with torch.inference_mode():
        v = sum(mse(model(b["features"]).squeeze(-1), b["target"]).item() for b in val_dl) / len(val_dl)
    print(f"{ep}: val rmse {math.sqrt(v):.4f}")
