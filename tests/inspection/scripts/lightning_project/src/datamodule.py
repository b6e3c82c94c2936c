import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset, random_split


class SeriesDataModule(pl.LightningDataModule):
    """Sine waves with noise; predicts the value after the window."""

    def __init__(self, window: int, total: int, batch_size: int, num_workers: int = 0):
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage=None):
        h = self.hparams
        t = torch.arange(h.total + h.window, dtype=torch.float32)
        wave = torch.sin(t / 7) + 0.1 * torch.randn_like(t)
        x = wave.unfold(0, h.window, 1)[:h.total].unsqueeze(-1)
        y = wave[h.window:h.window + h.total]
        n_val = h.total // 5
        self.train_set, self.val_set = random_split(TensorDataset(x, y), [h.total - n_val, n_val])

    def train_dataloader(self):
        return DataLoader(self.train_set, self.hparams.batch_size, shuffle=True, num_workers=self.hparams.num_workers)

    def val_dataloader(self):
        return DataLoader(self.val_set, self.hparams.batch_size * 2, num_workers=self.hparams.num_workers)
