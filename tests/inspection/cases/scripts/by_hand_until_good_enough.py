# Steps by hand, until the loss is small: what a step costs is known, how many there are is not.
import itertools

import torch
from torch import nn

model = nn.Linear(6, 1)
for number in itertools.count(1):
    x = torch.randn(16, 6)
    model.zero_grad()
    loss = nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))
    loss.backward()
    for parameter in model.parameters():
        parameter.data.add_(-0.1 * parameter.grad)
    if loss.item() < 1e-3:
        break
