"""What one user's runs weigh when runs are taken together, and what they can move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from advisor.prediction.model import PredictionModel, load_model
from advisor.prediction.predictor import forecast
from advisor.registry import Registry
from advisor.settings import data_path
from advisor.training.calibration import calibrated
from advisor.training.runs import RUNS_PER_USER_AND_SETTING, SETTINGS_PER_USER, TrainingRun, aggregate
from tests.training.runs import run

HONEST_W, INVENTED_W = 250.0, 80.0


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> PredictionModel:
    """The model that ships."""
    return load_model(Registry(tmp_path_factory.mktemp("models"), data_path("models") / "prior").promoted())


def honest(users: int) -> list[TrainingRun]:
    """Three runs of each user, of one setting."""
    return [replace(run(power_w=HONEST_W), user=f"user{number}") for number in range(users) for _ in range(3)]


def invented(**facts: object) -> list[TrainingRun]:
    """Two hundred runs of one user, each of another script."""
    return [
        replace(run(power_w=INVENTED_W, **facts), user="liar", script_hash=f"s{number}")  # type: ignore[arg-type]
        for number in range(200)
    ]


def test_many_scripts_of_a_user_are_one_voice() -> None:
    """Two hundred invented runs do not move a setting that two others have measured, and weigh as twenty."""
    (found,) = aggregate([*invented(), *honest(2)])

    assert HONEST_W == found.mean_power_w
    assert 2 * 3 + RUNS_PER_USER_AND_SETTING == found.runs


def test_a_user_against_one_other_moves_a_setting_half_way_at_most_and_is_seen() -> None:
    """Nobody can say who of two is right; what they disagree by stands in the setting's spread."""
    (found,) = aggregate([*invented(), *honest(1)])

    assert (HONEST_W + INVENTED_W) / 2 == found.mean_power_w
    assert found.power_spread is not None
    assert found.power_spread > 0.1


@pytest.mark.parametrize(("others", "kept"), [(0, 200), (10, SETTINGS_PER_USER), (80, 80)])
def test_one_user_does_not_outnumber_all_others_of_a_site(others: int, kept: int) -> None:
    """Unless there are no others: then a site is that user's own."""
    lies = [replace(run(batch_size=number + 1), user="liar") for number in range(200)]
    rest = [replace(run(batch_size=number + 1000), user=f"user{number}") for number in range(others)]
    found = aggregate([*lies, *rest])

    assert kept == sum(one.user == "liar" for one in found)
    assert others == sum(one.user != "liar" for one in found)
    assert len(found) == len(aggregate(found))


def _power_w(model: PredictionModel, runs: Sequence[TrainingRun]) -> float:
    after = calibrated(model, runs)
    return float(forecast(after, [run().setting]).power_w[0])


def test_invented_runs_move_honest_settings_little(prior: PredictionModel) -> None:
    """As measured through a calibration: neither of the same setting nor of hundreds beside it."""
    users = honest(3)
    alone = _power_w(prior, users)
    same = _power_w(prior, [*users, *invented()])
    beside = [replace(run(power_w=INVENTED_W, batch_size=128 + number), user="liar") for number in range(200)]
    near = _power_w(prior, [*users, *beside])

    assert pytest.approx(alone, rel=0.05) == same
    assert pytest.approx(alone, rel=0.05) == near


def test_recent_runs_count_more() -> None:
    """A power cap that was lifted is learned: what ran three months ago does not hold the setting half-way."""
    month_s = 30 * 86400.0
    old = [replace(run(power_w=110.0), ended_at=1e9) for _ in range(10)]
    new = [replace(run(power_w=209.0), ended_at=1e9 + 3 * month_s) for _ in range(10)]
    (found,) = aggregate([*new, *old])
    (even,) = aggregate([*(replace(one, ended_at=1e9) for one in new), *old])

    assert (209.0, 159.5) == (found.mean_power_w, even.mean_power_w)
    assert 1e9 + 3 * month_s == found.ended_at


def test_an_old_user_yields_to_a_recent_one() -> None:
    """A machine that changed for all is not held back by those who no longer use it."""
    year_s = 365 * 86400.0
    old = [replace(run(power_w=110.0), user=f"old{number}", ended_at=1e9) for number in range(2)]
    new = [replace(run(power_w=209.0), user=f"new{number}", ended_at=1e9 + year_s) for number in range(2)]

    assert 209.0 == aggregate([*new, *old])[0].mean_power_w
