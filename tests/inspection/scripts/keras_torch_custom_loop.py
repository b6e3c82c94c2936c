"""Keras layers inside an ordinary PyTorch loop."""
import os
os.environ['KERAS_BACKEND'] = 'torch'
import torch
import keras
import numpy as np

def get_model(width=48):
    i = keras.Input((20,))
    h = keras.layers.Dense(width, activation='relu')(i)
    h = keras.layers.Dense(width, activation='relu')(h)
    return keras.Model(i, keras.layers.Dense(3)(h))

X = np.random.randn(700, 20).astype('float32')
Y = np.random.randint(0, 3, 700)
train_loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), batch_size=35, shuffle=True)

model = get_model()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_fn = torch.nn.CrossEntropyLoss()
num_epochs = 4
for epoch in range(num_epochs):
    for step, (inputs, targets) in enumerate(train_loader):
        logits = model(inputs)
        loss = loss_fn(logits, targets)
        model.zero_grad()
        loss.backward()
        optimizer.step()
    print(f'epoch {epoch} loss {loss.item():.3f}')
