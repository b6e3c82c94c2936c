"""Reads fixed-size binary records from a file (written to a temporary folder first, as our simulation would)."""
import struct
import tempfile
from pathlib import Path

import torch
from torch.utils.data import DataLoader, IterableDataset

RECORD = struct.Struct("<16fi")
NUM_RECORDS = 768


def write_records(path, n):
    gen = torch.Generator().manual_seed(0)
    with open(path, "wb") as f:
        for i in range(n):
            f.write(RECORD.pack(*torch.randn(16, generator=gen).tolist(), i % 3))


class RecordFile(IterableDataset):
    def __init__(self, path):
        self.path = path

    def __iter__(self):
        with open(self.path, "rb") as f:
            while chunk := f.read(RECORD.size):
                *values, label = RECORD.unpack(chunk)
                yield torch.tensor(values), label


with tempfile.TemporaryDirectory() as tmp:
    file = Path(tmp) / "train.rec"
    write_records(file, NUM_RECORDS)
    dl = DataLoader(RecordFile(file), batch_size=24)
    clf = torch.nn.Sequential(torch.nn.Linear(16, 80), torch.nn.ReLU(), torch.nn.Linear(80, 3))
    optimizer = torch.optim.Adadelta(clf.parameters())
    for ep in range(5):
        total = 0.0
        for feats, label in dl:
            optimizer.zero_grad()
            l = torch.nn.functional.cross_entropy(clf(feats), label)
            l.backward()
            optimizer.step()
            total += l.item()
        print(ep, total)
