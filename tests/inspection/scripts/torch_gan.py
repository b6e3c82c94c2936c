import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

nz, ndf, ngf, lr, BATCH, EPOCHS = 32, 16, 16, 2e-4, 32, 2


def weights_init(m):
    if type(m).__name__.find("Conv") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.02)


G = nn.Sequential(
    nn.ConvTranspose2d(nz, ngf * 4, 4, 1, 0, bias=False), nn.BatchNorm2d(ngf * 4), nn.ReLU(True),
    nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(ngf * 2), nn.ReLU(True),
    nn.ConvTranspose2d(ngf * 2, 3, 4, 2, 1, bias=False), nn.Tanh())
D = nn.Sequential(
    nn.Conv2d(3, ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True),
    nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(ndf * 2), nn.LeakyReLU(0.2, True),
    nn.Conv2d(ndf * 2, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten())
G.apply(weights_init)
D.apply(weights_init)

loader = DataLoader(TensorDataset(torch.rand(256, 3, 16, 16) * 2 - 1), batch_size=BATCH, shuffle=True)
bce = nn.BCELoss()
optD = optim.Adam(D.parameters(), lr=lr, betas=(0.5, 0.999))
optG = optim.Adam(G.parameters(), lr=lr, betas=(0.5, 0.999))

for epoch in range(EPOCHS):
    for (real,) in loader:
        b = real.size(0)
        D.zero_grad()
        lossD = bce(D(real), torch.ones(b, 1))
        lossD.backward()
        fake = G(torch.randn(b, nz, 1, 1))
        lossF = bce(D(fake.detach()), torch.zeros(b, 1))
        lossF.backward()
        optD.step()
        G.zero_grad()
        lossG = bce(D(fake), torch.ones(b, 1))
        lossG.backward()
        optG.step()
    print(epoch, lossD.item() + lossF.item(), lossG.item())
