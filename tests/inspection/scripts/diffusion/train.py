import argparse, os, types
import torch, yaml
from torch.utils.data import DataLoader, TensorDataset
from ddpm import EMA, Denoiser, GaussianDiffusion

def ns(d):
    return types.SimpleNamespace(**{k: ns(v) if isinstance(v, dict) else v for k, v in d.items()})

def infinite(loader):
    while True:
        yield from loader

class Trainer:
    def __init__(self, cfg, workdir):
        self.cfg, self.workdir = cfg, workdir
        theta = torch.rand(cfg.dataset.size) * 3.14
        pts = torch.stack([theta.cos(), theta.sin()], 1) + 0.05 * torch.randn(cfg.dataset.size, 2)
        self.dl = DataLoader(TensorDataset(pts), batch_size=cfg.train.batch, shuffle=True, drop_last=True)
        self.net = Denoiser(**vars(cfg.model))
        self.diffusion = GaussianDiffusion(self.net, cfg.diffusion.timesteps, cfg.diffusion.beta)
        self.ema = EMA(self.net, cfg.train.ema_decay)
        self.opt = torch.optim.AdamW(self.net.parameters(), lr=cfg.train.lr)
        self.sched = torch.optim.lr_scheduler.LambdaLR(self.opt, lambda s: min(1, (s + 1) / 10))
        self.step = 0

    def train(self):
        batches = infinite(self.dl)
        while self.step < self.cfg.train.total_steps:
            (x,) = next(batches)
            loss = self.diffusion.loss(x)
            self.opt.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.cfg.train.clip)
            self.opt.step(); self.sched.step(); self.ema.update(self.net)
            self.step += 1
            if self.step % self.cfg.train.save_every == 0:
                os.makedirs(self.workdir, exist_ok=True)
                torch.save(self.ema.shadow.state_dict(), os.path.join(self.workdir, f"ema-{self.step}.pt"))
                print(self.step, float(loss))

if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("-c", "--config", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "config.yaml"))
    ap.add_argument("-o", "--workdir", default="results")
    a = ap.parse_args()
    with open(a.config) as fh:
        Trainer(ns(yaml.safe_load(fh)), a.workdir).train()
