"""Number-reversal with a tiny encoder-decoder; accelerate does the devices."""
import math
import torch
import torch.nn as nn
from accelerate import Accelerator

SRC, TGT, VOCAB, DIM = 16, 16, 40, 48
PER_DEVICE_BATCH = 10
MAX_TRAIN_STEPS = 60

class Reverser(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, DIM)
        self.enc = nn.GRU(DIM, DIM, batch_first=True)
        self.dec = nn.GRU(DIM, DIM, batch_first=True)
        self.out = nn.Linear(DIM, VOCAB)

    def forward(self, src, tgt_in):
        _, h = self.enc(self.emb(src))
        y, _ = self.dec(self.emb(tgt_in), h)
        return self.out(y)

accelerator = Accelerator()
src = torch.randint(2, VOCAB, (200, SRC))
tgt = torch.cat([torch.ones(200, 1, dtype=torch.long), src.flip(1)], 1)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(src, tgt), PER_DEVICE_BATCH, shuffle=True)
net = Reverser()
opt = torch.optim.Adamax(net.parameters(), 2e-3)
net, opt, loader = accelerator.prepare(net, opt, loader)

num_update_steps_per_epoch = len(loader)
num_train_epochs = math.ceil(MAX_TRAIN_STEPS / num_update_steps_per_epoch)
completed = 0
for epoch in range(num_train_epochs):
    for s, t in loader:
        logits = net(s, t[:, :-1])
        loss = nn.functional.cross_entropy(logits.reshape(-1, VOCAB), t[:, 1:].reshape(-1))
        accelerator.backward(loss)
        opt.step(); opt.zero_grad()
        completed += 1
        if completed >= MAX_TRAIN_STEPS:
            break
    accelerator.print(epoch, loss.item())
