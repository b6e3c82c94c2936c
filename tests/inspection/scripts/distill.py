"""teacher (frozen) -> student, KL + CE"""
import torch, torch.nn as nn, torch.nn.functional as F
from torch.utils.data import TensorDataset, DataLoader
T, ALPHA = 4.0, 0.7
EPOCHS = 3; BS = 22
def cnn(*widths):
    mods, c = [], 3
    for w in widths:
        mods += [nn.Conv2d(c, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU(), nn.MaxPool2d(2)]; c = w
    return nn.Sequential(*mods, nn.Flatten(), nn.LazyLinear(8))
def init(net):
    net(torch.zeros(2, 3, 16, 16)); return net
@torch.no_grad()
def soft(teacher, x): return F.softmax(teacher(x) / T, 1)
def evaluate(net, loader):
    net.eval()
    with torch.no_grad(): return sum((net(x).argmax(1) == y).sum().item() for x, y in loader)
if __name__ == "__main__":
    with torch.no_grad():
        teacher, student = init(cnn(32, 64, 64)).eval(), init(cnn(8, 16))
    for p in teacher.parameters(): p.requires_grad = False
    data = TensorDataset(torch.randn(220, 3, 16, 16), torch.randint(0, 8, (220,)))
    loader = DataLoader(data, BS, shuffle=True)
    opt = torch.optim.RMSprop(student.parameters(), 1e-3, momentum=0.9)
    for e in range(1, EPOCHS + 1):
        student.train()
        for x, y in loader:
            out = student(x)
            kl = F.kl_div(F.log_softmax(out / T, 1), soft(teacher, x), reduction="batchmean") * T * T
            loss = ALPHA * kl + (1 - ALPHA) * F.cross_entropy(out, y)
            opt.zero_grad(); loss.backward(); opt.step()
        print(e, evaluate(student, loader))
