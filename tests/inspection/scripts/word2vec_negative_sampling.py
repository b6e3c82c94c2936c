import torch
import torch.nn as nn

V, D, W, K = 3000, 50, 2, 5
BATCH_SIZE = 256
text = torch.randint(0, V, (2052,)).tolist()
pairs = [(text[i], text[i + j]) for i in range(W, len(text) - W) for j in (-2, -1, 1, 2)]

class SkipGram(nn.Module):
    def __init__(self):
        super().__init__()
        self.center = nn.Embedding(V, D, sparse=True)
        self.context = nn.Embedding(V, D, sparse=True)
    def forward(self, c, o, neg):
        c = self.center(c)
        pos = torch.bmm(self.context(o).unsqueeze(1), c.unsqueeze(2)).squeeze()
        negs = torch.bmm(self.context(neg), c.unsqueeze(2)).squeeze()
        return -(nn.functional.logsigmoid(pos) + nn.functional.logsigmoid(-negs).sum(1)).mean()

def batches():
    for i in range(0, len(pairs), BATCH_SIZE):
        c, o = zip(*pairs[i:i + BATCH_SIZE])
        yield torch.tensor(c), torch.tensor(o)

sg = SkipGram()
opt = torch.optim.SparseAdam(sg.parameters(), lr=0.01)
for epoch in range(2):
    for c, o in batches():
        opt.zero_grad()
        loss = sg(c, o, torch.randint(0, V, (len(c), K)))
        loss.backward()
        opt.step()
    print(epoch, loss.item())
