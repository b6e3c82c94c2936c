import torch
from torch import nn
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset
import numpy as np

CONFIG = {
    "folds": 5,
    "num_epochs": 3,
    "batch": 10,
    "lr": 1e-4,
}


def reset_weights(m):
    if hasattr(m, "reset_parameters"):
        m.reset_parameters()


def kfold_indices(n, k, seed=0):
    order = np.random.RandomState(seed).permutation(n)
    parts = np.array_split(order, k)
    for i in range(k):
        yield np.concatenate(parts[:i] + parts[i + 1:]), parts[i]


class SimpleConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 10, kernel_size=3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(14 * 14 * 10, 50),
            nn.ReLU(),
            nn.Linear(50, 20),
            nn.ReLU(),
            nn.Linear(20, 10),
        )

    def forward(self, x):
        return self.layers(x)


if __name__ == "__main__":
    dataset = TensorDataset(torch.randn(250, 1, 16, 16), torch.randint(0, 10, (250,)))
    results = {}
    for fold, (train_ids, test_ids) in enumerate(kfold_indices(len(dataset), CONFIG["folds"])):
        print(f"FOLD {fold}\n--------------------------------")
        trainloader = DataLoader(dataset, batch_size=CONFIG["batch"], sampler=SubsetRandomSampler(train_ids))
        testloader = DataLoader(dataset, batch_size=CONFIG["batch"], sampler=SubsetRandomSampler(test_ids))
        network = SimpleConvNet()
        network.apply(reset_weights)
        optimizer = torch.optim.Adam(network.parameters(), lr=CONFIG["lr"])
        loss_function = nn.CrossEntropyLoss()
        for epoch in range(CONFIG["num_epochs"]):
            for inputs, targets in trainloader:
                optimizer.zero_grad()
                loss = loss_function(network(inputs), targets)
                loss.backward()
                optimizer.step()
        with torch.no_grad():
            correct = sum((network(x).argmax(1) == y).sum().item() for x, y in testloader)
        results[fold] = 100.0 * correct / len(test_ids)
    print(sum(results.values()) / len(results))
