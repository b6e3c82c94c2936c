"""Score a saved classifier on a test set: accuracy, confusion matrix, latency. Trains nothing."""
import argparse
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--checkpoint", type=Path)
parser.add_argument("--batch-size", type=int, default=32)
args = parser.parse_args()

net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 64), torch.nn.ReLU(), torch.nn.Linear(64, 5))
if args.checkpoint:
    net.load_state_dict(torch.load(args.checkpoint))
loader = DataLoader(TensorDataset(torch.randn(320, 16, 16), torch.randint(5, (320,))), batch_size=args.batch_size)
confusion = torch.zeros(5, 5, dtype=torch.long)
net.eval()
start = time.perf_counter()
with torch.no_grad():
    for x, y in loader:
        for t, p in zip(y, net(x).argmax(1)):
            confusion[t, p] += 1
print(confusion)
print("accuracy", (confusion.diag().sum() / confusion.sum()).item(), "ms", 1e3 * (time.perf_counter() - start) / len(loader))
