# regression with hand-made mini batches, no DataLoader
import numpy as np
import torch

n_samples, n_features = 2000, 25
batch_size = 50
n_epochs = 10
learning_rate = 0.01

rng = np.random.RandomState(7)
X = torch.from_numpy(rng.randn(n_samples, n_features).astype(np.float32))
y = torch.from_numpy(rng.randn(n_samples, 1).astype(np.float32))

model = torch.nn.Sequential(
    torch.nn.Linear(n_features, 64),
    torch.nn.Tanh(),
    torch.nn.Linear(64, 32),
    torch.nn.Tanh(),
    torch.nn.Linear(32, 1),
)
loss_fn = torch.nn.MSELoss(reduction="mean")
optimizer = torch.optim.Adagrad(model.parameters(), lr=learning_rate)

for t in range(n_epochs):
    perm = torch.randperm(n_samples)
    for i in range(0, n_samples, batch_size):
        idx = perm[i:i + batch_size]
        y_pred = model(X[idx])
        loss = loss_fn(y_pred, y[idx])
        model.zero_grad()
        loss.backward()
        optimizer.step()
    print(t, loss.item())
