import random
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader


class PairDataset(Dataset):
    """(anchor, other, same?) with the pairs drawn at random"""

    def __init__(self, n_pairs=180, side=20):
        self.base = torch.rand(50, 1, side, side)
        self.n_pairs = n_pairs

    def __getitem__(self, _):
        i = random.randrange(50)
        same = random.random() < 0.5
        j = i if same else random.randrange(50)
        return self.base[i] + 0.05 * torch.randn_like(self.base[i]), self.base[j], float(same)

    def __len__(self):
        return self.n_pairs


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(),
                                 nn.Flatten(), nn.Linear(16 * 7 * 7, 32))

    def forward_once(self, x):
        return self.cnn(x)

    def forward(self, a, b):
        return self.forward_once(a), self.forward_once(b)


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin

    def forward(self, a, b, same):
        d = nn.functional.pairwise_distance(a, b)
        return torch.mean(same * d.pow(2) + (1 - same) * torch.clamp(self.margin - d, min=0).pow(2))


def main():
    random.seed(1)
    loader = DataLoader(PairDataset(), batch_size=12, num_workers=0)
    net, criterion = SiameseNetwork(), ContrastiveLoss(margin=1.5)
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-4)
    for epoch in range(1, 4):
        for img0, img1, label in loader:
            optimizer.zero_grad()
            loss = criterion(*net(img0, img1), label.float())
            loss.backward()
            optimizer.step()
        print(f"Epoch {epoch}: {loss.item():.3f}")


main()
