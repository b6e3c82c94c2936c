"""Full-batch graph convolution on a random graph (Kipf & Welling), no PyG."""
import torch
import torch.nn as nn
import torch.nn.functional as F

N, FEATS, HIDDEN, CLASSES, EPOCHS = 500, 64, 32, 7, 40
torch.manual_seed(5)
A = (torch.rand(N, N) < 0.01).float()
A = ((A + A.T) > 0).float() + torch.eye(N)
d = A.sum(1).rsqrt()
A_hat = d[:, None] * A * d[None, :]
X = torch.randn(N, FEATS)
labels = torch.randint(0, CLASSES, (N,))
train_mask = torch.zeros(N, dtype=torch.bool)
train_mask[:140] = True


class GCNLayer(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.lin = nn.Linear(i, o, bias=False)

    def forward(self, a, x):
        return a @ self.lin(x)


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.g1 = GCNLayer(FEATS, HIDDEN)
        self.g2 = GCNLayer(HIDDEN, CLASSES)

    def forward(self, a, x):
        x = F.dropout(F.relu(self.g1(a, x)), 0.5, self.training)
        return self.g2(a, x)


gcn = GCN()
optimizer = torch.optim.Adam(gcn.parameters(), lr=0.01, weight_decay=5e-4)
for epoch in range(EPOCHS):
    gcn.train()
    optimizer.zero_grad()
    out = gcn(A_hat, X)
    loss = F.cross_entropy(out[train_mask], labels[train_mask])
    loss.backward()
    optimizer.step()
gcn.eval()
print("test accuracy", (gcn(A_hat, X).argmax(1)[~train_mask] == labels[~train_mask]).float().mean().item())
