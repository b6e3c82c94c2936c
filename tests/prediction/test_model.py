from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from advisor.errors import ModelError
from advisor.prediction.model import PredictionModel, from_bytes, to_bytes
from advisor.prediction.predictor import predict
from tests.prediction.workloads import RESNET50, gpu, placement, workload

Arrays = dict[str, Any]


def _rewritten(model: PredictionModel, change: Callable[[Arrays], object]) -> bytes:
    with np.load(io.BytesIO(to_bytes(model))) as archive:
        arrays = {name: archive[name] for name in archive.files}
    change(arrays)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_a_model_is_read_as_it_was_written(prior: PredictionModel) -> None:
    """Storage changes no prediction."""
    read = from_bytes(to_bytes(prior), prior.identity)
    asked = [placement(gpu("a100")), placement(gpu("l40s"))]

    assert predict(workload(**RESNET50), asked, prior) == predict(workload(**RESNET50), asked, read)


def _later(arrays: Arrays) -> None:
    arrays["features_version"][0] += 1


def test_a_model_of_another_version_says_so(prior: PredictionModel) -> None:
    """Arrays of other features would be read without a fault, and wrongly."""
    with pytest.raises(ModelError, match="another version"):
        from_bytes(_rewritten(prior, _later), prior.identity)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("widths"),
        lambda arrays: arrays.update(widths=arrays["widths"][:, :2]),
        lambda arrays: arrays.update(parameters=arrays["parameters"] * np.nan),
        lambda arrays: arrays.update({"time.hyper": arrays["time.hyper"][:5]}),
        lambda arrays: arrays.update({"power.residuals": arrays["power.residuals"] * np.nan}),
        lambda arrays: arrays.update({"time.regime": arrays["time.regime"][:3]}),
        lambda arrays: arrays.update({"features_version": np.array(["x"])}),
    ],
)
def test_arrays_that_do_not_fit_together_are_no_model(
    prior: PredictionModel, change: Callable[[Arrays], object]
) -> None:
    """A part that is missing, of another size or not a number is an error on loading, not a number on predicting."""
    with pytest.raises(ModelError):
        from_bytes(_rewritten(prior, change), prior.identity)


def test_damaged_bytes_are_a_clear_error(prior: PredictionModel) -> None:
    """Cut short, overwritten or not an archive at all: always a ModelError."""
    content = to_bytes(prior)
    chooser = random.Random(0)  # noqa: S311 (places, not secrets)
    damaged = [b"", b"not a model", content[: len(content) // 2]]
    for _ in range(20):
        place = chooser.randrange(len(content) - 64)
        damaged.append(content[:place] + bytes(64) + content[place + 64 :])

    for bad in damaged:
        with pytest.raises(ModelError):
            from_bytes(bad, prior.identity)
