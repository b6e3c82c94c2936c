import torch
from torch import nn


class Forecaster(nn.Module):
    def __init__(self, channels, hidden, ahead, layers=2):
        super().__init__()
        self.rnn = nn.LSTM(channels, hidden, num_layers=layers, batch_first=True, dropout=0.1)
        self.head = nn.Linear(hidden, ahead)

    def forward(self, x):
        _, (h, _) = self.rnn(x)
        return self.head(h[-1])


def build(settings):
    torch.manual_seed(settings.seed)
    return Forecaster(settings.channels, settings.hidden, settings.ahead)
