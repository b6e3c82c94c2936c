import dataclasses, pathlib, sys, time
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

@dataclasses.dataclass
class Options:
    epochs: int = 5
    batch_size: int = 8
    workers: int = 0
    learning_rate: float = 0.01
    checkpoint: str = "m5.ckpt"
    n_train: int = 96
    n_test: int = 24
    length: int = 2000
    @classmethod
    def from_argv(cls, argv):
        o = cls()
        for word in argv:
            k, _, v = word.lstrip("-").replace("-", "_").partition("=")
            setattr(o, k, type(getattr(o, k))(v))
        return o

class M5(nn.Sequential):
    def __init__(self, n_out=12, stride=8, ch=16):
        super().__init__(nn.Conv1d(1, ch, 40, stride), nn.BatchNorm1d(ch), nn.ReLU(), nn.MaxPool1d(4),
                         nn.Conv1d(ch, ch * 2, 3), nn.BatchNorm1d(ch * 2), nn.ReLU(), nn.MaxPool1d(4),
                         nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(ch * 2, n_out), nn.LogSoftmax(-1))

class Wave(torch.utils.data.Dataset):
    def __init__(self, n, length): self.n, self.length = n, length
    def __len__(self): return self.n
    def __getitem__(self, k):
        g = torch.Generator().manual_seed(k)
        return torch.randn(1, self.length - 100 * (k % 3), generator=g), 16000, f"word{k % 12}", k

def collate_fn(batch):
    longest = max(w.shape[-1] for w, *_ in batch)
    xs = torch.stack([nn.functional.pad(w, (0, longest - w.shape[-1])) for w, *_ in batch])
    return xs, torch.tensor([int(lab[4:]) for _, _, lab, _ in batch])

def main():
    o = Options.from_argv(sys.argv[1:])
    dev = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    mk = lambda n, shuffle: torch.utils.data.DataLoader(Wave(n, o.length), o.batch_size, shuffle=shuffle, collate_fn=collate_fn, num_workers=o.workers)
    train_loader, test_loader = mk(o.n_train, True), mk(o.n_test, False)
    model = M5().to(dev)
    opt = torch.optim.ASGD(model.parameters(), lr=o.learning_rate, weight_decay=1e-4)
    plateau = ReduceLROnPlateau(opt, factor=0.5, patience=2)
    start = 0
    ck = pathlib.Path(o.checkpoint)
    if ck.exists():
        state = torch.load(ck, map_location=dev); model.load_state_dict(state["model"]); start = state["epoch"] + 1
    for epoch in range(start, o.epochs):
        t0 = time.perf_counter(); model.train()
        for data, target in train_loader:
            loss = nn.functional.nll_loss(model(data.to(dev)), target.to(dev))
            opt.zero_grad(); loss.backward(); opt.step()
        model.eval(); tl = 0.0
        with torch.inference_mode():
            for data, target in test_loader:
                tl += nn.functional.nll_loss(model(data.to(dev)), target.to(dev), reduction="sum").item()
        plateau.step(tl)
        torch.save({"model": model.state_dict(), "epoch": epoch}, ck)
        print(f"{epoch} {tl / o.n_test:.4f} {time.perf_counter() - t0:.1f}s")
main()
