import copy
import math
import torch
import torch.nn as nn


class TimeEmbedding(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, t):
        half = self.dim // 2
        f = torch.exp(-math.log(10000) * torch.arange(half) / (half - 1))
        a = t[:, None].float() * f[None]
        return torch.cat([a.sin(), a.cos()], -1)


class Residual(nn.Module):
    def __init__(self, h, td):
        super().__init__()
        self.a, self.b, self.t = nn.Linear(h, h), nn.Linear(h, h), nn.Linear(td, h)
        self.norm = nn.LayerNorm(h)

    def forward(self, x, temb):
        return x + self.b(nn.functional.silu(self.a(self.norm(x)) + self.t(temb)))


class Denoiser(nn.Module):
    def __init__(self, hidden, blocks, time_dim):
        super().__init__()
        self.time = TimeEmbedding(time_dim)
        self.inp = nn.Linear(2, hidden)
        self.blocks = nn.ModuleList(Residual(hidden, time_dim) for _ in range(blocks))
        self.out = nn.Linear(hidden, 2)

    def forward(self, x, t):
        e = self.time(t)
        h = self.inp(x)
        for b in self.blocks:
            h = b(h, e)
        return self.out(h)


class GaussianDiffusion:
    def __init__(self, net, timesteps, beta):
        self.net, self.T = net, timesteps
        betas = torch.linspace(*beta, timesteps)
        self.abar = torch.cumprod(1 - betas, 0)

    def loss(self, x0):
        t = torch.randint(0, self.T, (len(x0),))
        noise = torch.randn_like(x0)
        a = self.abar[t][:, None]
        return nn.functional.mse_loss(self.net(a.sqrt() * x0 + (1 - a).sqrt() * noise, t), noise)


class EMA:
    def __init__(self, net, decay):
        self.decay, self.shadow = decay, copy.deepcopy(net).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, net):
        for s, p in zip(self.shadow.parameters(), net.parameters()):
            s.lerp_(p, 1 - self.decay)
