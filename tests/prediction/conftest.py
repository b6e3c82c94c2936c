"""The model that ships, loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.prediction.model import PredictionModel, load_model
from advisor.registry import Registry
from advisor.settings import data_path


@pytest.fixture(scope="session")
def prior() -> PredictionModel:
    """The shipped prior."""
    return load_model(Registry(Path("nowhere"), data_path("models") / "prior").promoted())
