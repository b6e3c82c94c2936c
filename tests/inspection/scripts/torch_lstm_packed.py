from typing import List, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader


class Example(NamedTuple):
    tokens: Tensor
    label: int


def corpus(n: int, seed: int) -> List[Example]:
    g = torch.Generator().manual_seed(seed)
    out = []
    for i in range(n):
        length = 10 if i % 2 else 30
        out.append(Example(torch.randint(1, 200, (length,), generator=g), i % 4))
    return out


def collate(batch: List[Example]):
    lengths = torch.tensor([len(e.tokens) for e in batch])
    return pad_sequence([e.tokens for e in batch], batch_first=True), lengths, torch.tensor([e.label for e in batch])


class Tagger(nn.Module):
    def __init__(self, vocab: int = 200, dim: int = 32, hidden: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim, padding_idx=0)
        self.rnn = nn.LSTM(dim, hidden, num_layers=2, batch_first=True)
        self.head = nn.Linear(hidden, 4)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(tokens), lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, (h, _) = self.rnn(packed)
        return self.head(h[-1])


def train() -> None:
    loader = DataLoader(corpus(200, 0), batch_size=20, collate_fn=collate)
    dev_loader = DataLoader(corpus(40, 1), batch_size=20, collate_fn=collate)
    model = Tagger()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(3):
        model.train()
        for tokens, lengths, labels in loader:
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(model(tokens, lengths), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5)
            optimiser.step()
        model.eval()
        with torch.no_grad():
            acc = [(model(t, l).argmax(1) == y).float().mean().item() for t, l, y in dev_loader]
        print(f"epoch {epoch}: dev acc {sum(acc) / len(acc):.3f}")


if __name__ == "__main__":
    train()
