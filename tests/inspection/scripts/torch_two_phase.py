"""Phase 1 trains the head, phase 2 the whole thing with a smaller rate and other optimizer settings."""
import argparse
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def set_frozen(module, frozen):
    for p in module.parameters():
        p.requires_grad = not frozen


def run_phase(model, loader, epochs, lr, tag):
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(params, lr=lr)
    for e in range(epochs):
        tot = 0
        for xb, yb in loader:
            loss = nn.functional.cross_entropy(model(xb), yb)
            optimizer.zero_grad(); loss.backward(); optimizer.step()
            tot += loss.item() * len(xb)
        print(f"[{tag}] epoch {e + 1}/{epochs}: {tot / len(loader.dataset):.4f}")


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--head-epochs", type=int, default=2)
    ap.add_argument("--full-epochs", type=int, default=3)
    ap.add_argument("--bs", type=int, default=30)
    opts = ap.parse_args()
    backbone = nn.Sequential(nn.Conv1d(4, 32, 5), nn.ReLU(), nn.Conv1d(32, 32, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten())
    head = nn.Linear(32, 2)
    model = nn.Sequential(backbone, head)
    dna = TensorDataset(torch.randint(0, 2, (360, 4, 60)).float(), torch.randint(0, 2, (360,)))
    dl = DataLoader(dna, opts.bs, shuffle=True)
    set_frozen(backbone, True)
    run_phase(model, dl, opts.head_epochs, 1e-3, "head")
    set_frozen(backbone, False)
    run_phase(model, dl, opts.full_epochs, 1e-4, "all")
