from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from advisor.errors import ConfigurationError
from advisor.prediction.model import load_model
from advisor.prediction.predictor import predict
from advisor.registry import Registry
from advisor.settings import data_path
from advisor.training.prior_rows import shipped_prior
from advisor.training.recalibrate import recalibrate
from advisor.training.retrain import retrain
from advisor.training.runs import TrainingRun
from tests.prediction.workloads import RESNET50, gpu, placement, workload
from tests.training.runs import run, varied

pytestmark = pytest.mark.slow

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A site with nothing but the prior that ships."""
    return Registry(tmp_path, data_path("models") / "prior")


def test_an_empty_corpus_changes_nothing(registry: Registry) -> None:
    """Without a run there is nothing to learn, and the report says so."""
    report = retrain([], registry)

    assert report.stored is None
    assert "no run" in report.reason
    assert [] == registry.versions()


@pytest.mark.parametrize("count", [1, 3])
def test_few_runs_are_survived(registry: Registry, count: int) -> None:
    """One and three runs give a stored candidate and a comparison, whatever its verdict."""
    report = retrain(list(varied(count)), registry, now=NOON)

    assert report.stored is not None
    assert count == report.corpus_runs
    assert report.error_promoted is not None


def test_a_better_candidate_is_promoted_and_predicts(registry: Registry) -> None:
    """A machine three times slower than the prior thinks is learned, and the prior can be returned to."""
    (before,) = predict(
        workload(**RESNET50), [placement(gpu("a100"), partition="ampere")], load_model(registry.promoted())
    )
    factor = 5.0 * before.epoch_duration_s.value / 112.0

    report = retrain(list(varied(42, factor=factor)), registry, now=NOON)
    (after,) = predict(
        workload(**RESNET50), [placement(gpu("a100"), partition="ampere")], load_model(registry.promoted())
    )

    assert report.promoted, report.reason
    assert report.stored is not None
    assert report.stored.version == registry.promoted().version
    assert after.epoch_duration_s.value > 2 * before.epoch_duration_s.value
    assert "prior" == registry.roll_back().name


def test_a_candidate_that_is_no_better_is_kept_but_not_promoted(registry: Registry) -> None:
    """Retraining twice on the same runs cannot promote the same knowledge twice."""
    runs = list(varied(42, factor=8.0))
    first = retrain(runs, registry, now=NOON)
    second = retrain(runs, registry, now=NOON)

    assert first.promoted
    assert not second.promoted
    assert second.stored is not None
    assert first.stored is not None
    assert first.stored.version == registry.promoted().version
    assert 2 == len(registry.versions())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: replace(r, mean_power_w=float("nan")),
        lambda r: replace(r, epoch_duration_s=float("inf")),
        lambda r: replace(r, epoch_duration_s=-3.0),
        lambda r: replace(r, mean_power_w=10_000.0),
    ],
)
def test_impossible_values_never_reach_a_model(registry: Registry, spoil: Callable[[TrainingRun], TrainingRun]) -> None:
    """NaN, infinite, negative, and more power than the board can draw: such runs are not learned from."""
    report = retrain([spoil(run())], registry)

    assert report.stored is None


def test_a_poisoned_user_cannot_carry_a_setting(registry: Registry) -> None:
    """A thousand false runs of one user weigh no more than their cap against the honest ones of several others."""
    honest = [replace(r, user=f"u{i}") for i in range(6) for r in varied(21)] * 2
    poison = [replace(r, user="mallory", epoch_duration_s=(r.epoch_duration_s or 1.0) * 50) for r in varied(1000)]
    asked = placement(gpu("a100"), partition="ampere")
    facts = {**RESNET50, "model_name": "net3", "forward_flops_per_sample": 4e9, "batch_size": 32}

    retrain(honest, registry, now=NOON)
    (clean,) = predict(workload(**facts), [asked], load_model(registry.versions()[-1]))
    retrain([*honest, *poison], registry, now=NOON)
    (poisoned,) = predict(workload(**facts), [asked], load_model(registry.versions()[-1]))

    assert poisoned.epoch_duration_s.value < 3 * clean.epoch_duration_s.value


def test_the_card_says_what_was_learned(registry: Registry) -> None:
    """The card is there as data and as text, with ranges and the figures of the evaluation."""
    report = retrain(list(varied(42, factor=8.0)), registry, now=NOON)

    assert report.stored is not None
    card = report.stored.card()
    assert "corpus, groups" in card["evaluation"]
    assert "NVIDIA A100-PCIE-40GB" in card["data"]["gpus"]
    assert "| corpus, groups | energy |" in report.stored.card_text()


def test_a_folder_without_prior_data_is_a_clear_error(registry: Registry, tmp_path: Path) -> None:
    """Prior data that was asked for and is not there stops the retraining before anything is stored."""
    with pytest.raises(ConfigurationError, match="No prior data"):
        retrain(list(varied(3)), registry, prior_data_dir=tmp_path)
    assert [] == registry.versions()


def _dated(runs: Iterable[TrainingRun], day: float) -> list[TrainingRun]:
    """Runs that ended one after the other on a day of November 2026."""
    begin_s = datetime(2026, 11, 1, tzinfo=timezone.utc).timestamp() + day * 86400
    return [replace(run, ended_at=begin_s + 60 * number) for number, run in enumerate(runs)]


def test_a_second_month_that_drifted_is_learned_and_promoted(registry: Registry) -> None:
    """The promoted model is judged on what came after it, and so is the candidate: it wins when times have changed."""
    first = _dated(varied(42, factor=8.0), 0)
    retrain(first, registry, now=datetime(2026, 11, 2, tzinfo=timezone.utc))
    drifted = _dated(varied(42, factor=15.2), 10)
    report = retrain([*drifted, *first], registry, now=datetime(2026, 11, 12, tzinfo=timezone.utc))

    assert report.promoted, report.reason
    assert (42, True) == (report.fresh_runs, report.judged >= 6)
    assert "measured after the promoted model was made" in report.reason


def test_a_second_month_like_the_first_changes_nothing(registry: Registry) -> None:
    """Runs that were predicted well give no reason to promote; the verdict says how many settings it rests on."""
    first = _dated(varied(42, factor=8.0), 0)
    retrain(first, registry, now=datetime(2026, 11, 2, tzinfo=timezone.utc))
    report = retrain(
        [*_dated(varied(42, factor=8.0), 10), *first], registry, now=datetime(2026, 11, 12, tzinfo=timezone.utc)
    )

    assert not report.promoted
    assert f"{report.judged} settings" in report.reason


def test_what_was_calibrated_daily_is_not_judged_on_what_it_learned(registry: Registry) -> None:
    """With calibrate --apply every night nothing is fresh: groups are withheld from both, neither wins by memory."""
    runs = _dated(varied(42, factor=8.0), 0)
    recalibrate(runs, registry, now=datetime(2026, 11, 2, tzinfo=timezone.utc))
    report = retrain(runs, registry, now=datetime(2026, 11, 3, tzinfo=timezone.utc))

    assert 0 == report.fresh_runs
    assert report.error_candidate == pytest.approx(report.error_promoted, rel=1e-6)
    assert not report.promoted


def test_calibrating_again_counts_no_run_twice(registry: Registry) -> None:
    """What a model learned from is what it has, however often it was calibrated."""
    prior = registry.prior().trained_on_runs
    for day in range(3):
        recalibrate(_dated(varied(42), 0), registry, now=datetime(2026, 11, 2 + day, tzinfo=timezone.utc))

    assert prior + 42 == registry.promoted().trained_on_runs


def test_many_settings_refit_the_constants_anywhere(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """With enough settings the physical constants move, and no file but what ships is needed for that."""
    monkeypatch.setattr("advisor.training.retrain.shipped_prior", lambda: shipped_prior()[::40])
    corpus = [
        run("a100", power_w=150.0 + i, epoch_s=40.0 + 3 * i, model_name=f"net{i % 9}", batch_size=16 + i,
            forward_flops_per_sample=1e9 * (1 + i % 9))
        for i in range(52)
    ]  # fmt: skip

    report = retrain(corpus, registry, now=NOON, promote=False)

    assert report.stored is not None
    refitted, prior = load_model(report.stored), load_model(registry.prior())
    assert not np.allclose(refitted.parameters, prior.parameters)
    assert {"delrey2024", "llm_foundry"} <= set(refitted.time.rows.study.tolist())
