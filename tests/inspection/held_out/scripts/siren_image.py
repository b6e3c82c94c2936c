"""Fit an image with sine activations (SIREN): random pixels every iteration, no data set at all."""
import math
import sys

import torch

iters = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
pixels_per_iter = 512
side = 64


class Sine(torch.nn.Module):
    def __init__(self, fan_in, fan_out, omega=30.0, first=False):
        super().__init__()
        self.omega = omega
        self.linear = torch.nn.Linear(fan_in, fan_out)
        bound = 1 / fan_in if first else math.sqrt(6 / fan_in) / omega
        torch.nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x):
        return torch.sin(self.omega * self.linear(x))


class Siren(torch.nn.Module):
    def __init__(self, hidden=64, depth=3):
        super().__init__()
        self.net = torch.nn.Sequential(Sine(2, hidden, first=True), *[Sine(hidden, hidden) for _ in range(depth)],
                                       torch.nn.Linear(hidden, 3))

    def forward(self, coords):
        return self.net(coords)


axis = torch.linspace(-1, 1, side)
grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
image = torch.stack([torch.sin(4 * grid[:, 0]), torch.cos(5 * grid[:, 1]), grid.prod(1)], -1)
device = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")
grid, image = grid.to(device), image.to(device)
siren = Siren().to(device)
optimizer = torch.optim.Adam(siren.parameters(), 1e-4)
for it in range(iters):
    chosen = torch.randint(0, grid.shape[0], (pixels_per_iter,), device=device)
    loss = torch.nn.functional.mse_loss(siren(grid[chosen]), image[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if (it + 1) % 100 == 0:
        print(it + 1, f"psnr {-10 * math.log10(loss.item()):.2f}")
torch.save(siren.state_dict(), "siren.pth")
