import pytorch_lightning as pl
import torch
from torch import nn


class TemporalConvNet(nn.Module):
    def __init__(self, channels, kernel):
        super().__init__()
        layers, c_in = [], 1
        for i, c in enumerate(channels):
            layers += [nn.ConstantPad1d(((kernel - 1) * 2 ** i, 0), 0.0), nn.Conv1d(c_in, c, kernel, dilation=2 ** i), nn.ReLU()]
            c_in = c
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(c_in, 1)

    def forward(self, x):
        return self.out(self.layers(x.transpose(1, 2))[..., -1]).squeeze(-1)


class Forecaster(pl.LightningModule):
    def __init__(self, channels, kernel, lr):
        super().__init__()
        self.save_hyperparameters()
        self.net = TemporalConvNet(channels, kernel)
        self.loss = nn.HuberLoss()

    def forward(self, x):
        return self.net(x)

    def _shared(self, batch, name):
        x, y = batch
        loss = self.loss(self(x), y)
        self.log(f"{name}/loss", loss, prog_bar=True)
        return loss

    def training_step(self, batch, _):
        return self._shared(batch, "train")

    def validation_step(self, batch, _):
        self._shared(batch, "val")

    def configure_optimizers(self):
        opt = torch.optim.RAdam(self.parameters(), lr=self.hparams.lr)
        return {"optimizer": opt, "lr_scheduler": torch.optim.lr_scheduler.CosineAnnealingLR(opt, 10)}
