import collections
import functools
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader
try:
    from tqdm import tqdm
except ImportError:
    tqdm = lambda it, **kw: it

TOPICS = {"sport": "goal match team win".split(), "tech": "chip code data cloud".split(), "food": "salt bread soup taste".split()}
COMMON = [f"tok{i}" for i in range(200)]
MAX_LEN = 40
random.seed(0)
torch.manual_seed(0)


def corpus(n):
    out = []
    for _ in range(n):
        topic = random.choice(list(TOPICS))
        words = random.choices(COMMON, k=random.randint(8, 50)) + random.choices(TOPICS[topic], k=3)
        random.shuffle(words)
        out.append((" ".join(words), topic))
    return out


def tokenize(text):
    return text.lower().split()


def build_vocab(pairs, min_freq=1):
    counter = collections.Counter(tok for text, _ in pairs for tok in tokenize(text))
    itos = ["<pad>", "<unk>"] + sorted(t for t, c in counter.items() if c >= min_freq)
    return {t: i for i, t in enumerate(itos)}


def collate(batch, vocab, labels):
    ids = [torch.tensor([vocab.get(t, 1) for t in tokenize(text)][:MAX_LEN]) for text, _ in batch]
    ids[0] = F.pad(ids[0], (0, MAX_LEN - len(ids[0])))
    return pad_sequence(ids, batch_first=True), torch.tensor([labels[l] for _, l in batch])


class KimCNN(nn.Module):
    def __init__(self, vocab_size, n_class, dim=50, n_filters=30, sizes=(3, 4, 5)):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim, padding_idx=0)
        self.convs = nn.ModuleList([nn.Conv2d(1, n_filters, (k, dim)) for k in sizes])
        self.fc = nn.Linear(n_filters * len(sizes), n_class)
        self.dropout = nn.Dropout(0.5)

    def forward(self, text):
        embedded = self.embedding(text).unsqueeze(1)
        conved = [F.relu(conv(embedded)).squeeze(3) for conv in self.convs]
        pooled = [F.max_pool1d(c, c.shape[2]).squeeze(2) for c in conved]
        return self.fc(self.dropout(torch.cat(pooled, dim=1)))


train_data, valid_data = corpus(540), corpus(90)
vocab = build_vocab(train_data)
label_ids = {name: i for i, name in enumerate(sorted(TOPICS))}
fn = functools.partial(collate, vocab=vocab, labels=label_ids)
N_EPOCHS, BATCH_SIZE = 5, 36
train_iter = DataLoader(train_data, batch_size=BATCH_SIZE, shuffle=True, collate_fn=fn)
valid_iter = DataLoader(valid_data, batch_size=BATCH_SIZE, shuffle=False, collate_fn=fn)
net = KimCNN(len(vocab), len(label_ids))
opt = torch.optim.Adadelta(net.parameters(), lr=1.0)
sched = torch.optim.lr_scheduler.StepLR(opt, step_size=2, gamma=0.7)
print(f"{sum(p.numel() for p in net.parameters() if p.requires_grad):,} trainable parameters")

for epoch in range(N_EPOCHS):
    net.train()
    for text, label in tqdm(train_iter, desc=f"epoch {epoch}"):
        opt.zero_grad()
        out = net(text)
        F.cross_entropy(out, label).backward()
        opt.step()
    sched.step()
    net.eval()
    with torch.no_grad():
        good = sum((net(text).argmax(1) == label).sum().item() for text, label in valid_iter)
    print(epoch, good / len(valid_data))
