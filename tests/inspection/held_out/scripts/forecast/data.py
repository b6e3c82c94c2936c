import numpy as np
import torch
from torch.utils.data import Dataset


class Windows(Dataset):
    """Sliding windows over a multivariate series: `past` rows in, `ahead` values of column 0 out."""

    def __init__(self, series, past, ahead, stride=1):
        self.series, self.past, self.ahead, self.stride = torch.as_tensor(series, dtype=torch.float32), past, ahead, stride

    def __len__(self):
        return (len(self.series) - self.past - self.ahead) // self.stride + 1

    def __getitem__(self, i):
        a = i * self.stride
        b = a + self.past
        return self.series[a:b], self.series[b:b + self.ahead, 0]


def series(length, channels, seed=0):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal(0, 0.1, (length, channels)), axis=0)
