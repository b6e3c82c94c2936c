from torch import nn


class Mlp(nn.Sequential):
    def __init__(self, dim, hidden):
        super().__init__(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))


class Block(nn.Module):
    def __init__(self, dim, tokens, token_hidden, channel_hidden):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.tok, self.ch = Mlp(tokens, token_hidden), Mlp(dim, channel_hidden)

    def forward(self, x):
        x = x + self.tok(self.n1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.ch(self.n2(x))


class MlpMixer(nn.Module):
    def __init__(self, image, classes, patch, dim, depth, token_hidden, channel_hidden):
        super().__init__()
        self.stem = nn.Conv2d(3, dim, patch, patch)
        tokens = (image // patch) ** 2
        self.blocks = nn.ModuleList(Block(dim, tokens, token_hidden, channel_hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        for b in self.blocks:
            x = b(x)
        return self.head(self.norm(x).mean(1))
