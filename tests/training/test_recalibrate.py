from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from advisor.prediction.model import load_model
from advisor.prediction.predictor import predict
from advisor.registry import Registry
from advisor.settings import data_path
from advisor.training.recalibrate import recalibrate
from advisor.training.runs import TrainingRun
from tests.prediction.workloads import RESNET50, gpu, placement, workload
from tests.training.runs import run

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A site with nothing but the prior that ships."""
    return Registry(tmp_path, data_path("models") / "prior")


def _epoch_s(registry: Registry, partition: str = "hopper") -> float:
    asked = placement(gpu("h100"), partition=partition)
    (found,) = predict(workload(**RESNET50), [asked], load_model(registry.promoted()))
    return found.epoch_duration_s.value


def _slow(registry: Registry, factor: float, partition: str = "hopper") -> TrainingRun:
    return run("h100", partition, power_w=300.0, epoch_s=factor * _epoch_s(registry))


def test_one_run_on_a_new_partition_pulls_it(registry: Registry) -> None:
    """After one run that took three times as long its partition is predicted most of the way there, another's less."""
    before, elsewhere = _epoch_s(registry), _epoch_s(registry, "other")

    report = recalibrate([_slow(registry, 3.0)], registry, now=NOON)

    assert report.stored is not None
    assert report.stored.version == registry.promoted().version
    assert 2.0 * before < _epoch_s(registry) < 3.0 * before
    assert elsewhere < _epoch_s(registry, "other") < _epoch_s(registry)
    assert pytest.approx(_epoch_s(registry) / before) == report.shifts[0].time_factor


def test_calibrating_twice_counts_no_run_twice(registry: Registry) -> None:
    """The same corpus applied again says what it said, for runs that the model already has are taken out first."""
    corpus = [_slow(registry, 3.0)]
    recalibrate(corpus, registry, now=NOON)
    once = _epoch_s(registry)

    recalibrate(corpus, registry, now=NOON)

    assert pytest.approx(once, rel=1e-6) == _epoch_s(registry)


def test_one_partition_alone_can_be_calibrated(registry: Registry) -> None:
    """The others' runs stay out."""
    report = recalibrate([_slow(registry, 3.0), _slow(registry, 0.5, "other")], registry, only_site="hopper", now=NOON)

    assert [f"hopper/{gpu('h100').name}"] == [shift.site for shift in report.shifts]


@pytest.mark.parametrize("bad", [replace(run(), epoch_duration_s=float("nan")), replace(run(), mean_power_w=5000.0)])
def test_without_a_usable_run_nothing_changes(registry: Registry, bad: TrainingRun) -> None:
    """An empty corpus, or one of impossible values, leaves the promoted model where it was."""
    assert recalibrate([], registry).stored is None
    assert recalibrate([bad], registry).stored is None
    assert [] == registry.versions()


def test_the_way_back_is_open(registry: Registry) -> None:
    """A calibration can be rolled back, and its card says what it came from and what it changed."""
    report = recalibrate([_slow(registry, 3.0)], registry, now=NOON)

    assert report.stored is not None
    assert "prior" not in report.stored.name
    assert report.stored.card()["calibration"][f"hopper/{gpu('h100').name}"]["runs"] == 1
    assert "prior" == registry.roll_back().name
