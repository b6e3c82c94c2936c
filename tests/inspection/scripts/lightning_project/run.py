import argparse
import pathlib

import pytorch_lightning as pl
import yaml
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint  # noqa: F401

from src.datamodule import SeriesDataModule
from src.module import Forecaster


def cli_main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=pathlib.Path, default=pathlib.Path(__file__).parent / "config.yaml")
    parser.add_argument("--fast", action="store_true")
    args = parser.parse_args()
    cfg = yaml.safe_load(args.config.read_text())
    pl.seed_everything(cfg["seed"])
    dm = SeriesDataModule(**cfg["data"])
    model = Forecaster(**cfg["model"])
    callbacks = [EarlyStopping("val/loss", patience=50), ModelCheckpoint("checkpoints", monitor="val/loss")]
    trainer = pl.Trainer(**cfg["trainer"], callbacks=callbacks, fast_dev_run=args.fast)
    trainer.fit(model, datamodule=dm)


if __name__ == "__main__":
    cli_main()
