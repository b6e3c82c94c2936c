from argparse import ArgumentParser
import torch, torch.nn as nn, torch.nn.functional as F
import lightning.pytorch as pl
from torch.utils.data import DataLoader, Dataset

class TwoViews(Dataset):
    def __init__(self, n): self.x = torch.rand(n, 3, 20, 20)
    def __len__(self): return len(self.x)
    def __getitem__(self, i):
        v = lambda: (self.x[i] + 0.1 * torch.randn(3, 20, 20)).clamp(0, 1)
        return v(), v()

class SimCLR(pl.LightningModule):
    def __init__(self, dim=32, temperature=0.5, lr=3e-4, **_):
        super().__init__()
        self.save_hyperparameters()
        self.f = nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.g = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, dim))
    def forward(self, x): return F.normalize(self.g(self.f(x)), dim=1)
    def info_nce(self, batch, stage):
        z = self(torch.cat(batch))
        sim = z @ z.T / self.hparams.temperature
        sim.fill_diagonal_(-9e15)
        n = len(z) // 2
        loss = F.cross_entropy(sim, torch.arange(2 * n, device=z.device).roll(n))
        self.log(stage, loss, batch_size=n)
        return loss
    def training_step(self, b, i): return self.info_nce(b, "train")
    def validation_step(self, b, i): self.info_nce(b, "val")
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr, momentum=0.9, nesterov=True)

def main():
    p = ArgumentParser()
    p.add_argument("--batch_size", type=int, default=16)
    p.add_argument("--max_steps", type=int, default=30)
    p.add_argument("--temperature", type=float, default=0.2)
    args = p.parse_args()
    pl.seed_everything(1, workers=True)
    trainer = pl.Trainer(max_steps=args.max_steps, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=1, gradient_clip_val=1.0)
    trainer.fit(SimCLR(**vars(args)), DataLoader(TwoViews(160), args.batch_size, shuffle=True, drop_last=True), DataLoader(TwoViews(32), args.batch_size))

if __name__ == "__main__":
    main()
