"""When a training is to be stopped: only by what was asked, at the end of an epoch, with the figures that say why."""

from __future__ import annotations

import pytest

from advisor.telemetry.stopping import Judge, StopRules
from advisor.telemetry.trace import Epoch, Projection, Stop
from advisor.units import GainRule

EPOCH_J = 1000.0
ACCURACY = GainRule(per_kj=0.01, metric="val_accuracy")


def epoch(index: int, *, phase: int = 0, validation: bool = False) -> Epoch:
    """An epoch of 1 kJ."""
    return Epoch(
        phase=phase, index=index, started_at=index * 10.0, ended_at=index * 10.0 + 10.0, steps=1, samples=1,
        gpu_energy_j=EPOCH_J, validation=validation,
    )  # fmt: skip


def projection(energy_j: float, *, stable_from: int | None = 1) -> Projection:
    """A projection that is sure to a tenth."""
    return Projection(
        time_s=0.0, method="stable", energy_j=energy_j, energy_low_j=0.9 * energy_j, energy_high_j=1.1 * energy_j,
        duration_s=None, stable_from=stable_from,
    )  # fmt: skip


def judged(rule: GainRule, values: list[float], metric: str = "val_accuracy") -> list[Stop | None]:
    """The verdict after each epoch with these metrics."""
    judge = Judge(StopRules(gain=rule))
    return [
        judge.judge(epoch(index), spent_j=None, projections=(), metrics={metric: value})
        for index, value in enumerate(values)
    ]


def test_without_rules_nothing_stops() -> None:
    """The default is to train."""
    verdict = Judge(StopRules()).judge(epoch(0), spent_j=1e12, projections=[projection(1e12)], metrics={"loss": 1.0})

    assert verdict is None


def test_a_budget_stops_when_it_is_spent_and_not_before() -> None:
    """Once passed it holds for the rest of the run, with the epoch that passed it."""
    judge = Judge(StopRules(budget_j=2500.0))
    verdicts = [judge.judge(epoch(i), spent_j=EPOCH_J * (i + 1), projections=(), metrics={}) for i in range(4)]

    assert [None, None] == verdicts[:2]
    assert verdicts[2] is verdicts[3]
    assert ("energy_budget", 2, "3000 J are spent, the budget is 2500 J") == (
        verdicts[2] and (verdicts[2].rule, verdicts[2].index, verdicts[2].reason)
    )


@pytest.mark.parametrize(
    ("budget_on", "stable_from", "projected_j", "stops"),
    [
        ("spent", 1, 9000.0, False),
        ("projected", 1, 9000.0, True),
        ("projected", None, 9000.0, False),
        ("projected", 1, 2700.0, False),
    ],
)
def test_a_projection_counts_where_asked_when_stable_and_sure(
    budget_on: str, stable_from: int | None, projected_j: float, stops: bool
) -> None:
    """A training is not given up over what a projection does not know: its low end must pass the budget."""
    judge = Judge(StopRules(budget_j=2500.0, budget_on=budget_on))
    seen = [projection(projected_j, stable_from=stable_from)]

    assert stops == (judge.judge(epoch(0), spent_j=1000.0, projections=seen, metrics={}) is not None)


def test_little_gain_per_kj_stops_after_the_patience() -> None:
    """0.1 a kJ, then next to nothing: three epochs of 1 kJ must pass before it is sure."""
    verdicts = judged(ACCURACY, [0.1, 0.2, 0.3, 0.301, 0.302, 0.303, 0.304])

    assert [None] * 5 == verdicts[:5]
    assert verdicts[5] is not None
    assert verdicts[5].reason == "val_accuracy gained 0.001 per kJ over 3 epochs, less than 0.01"


def test_losses_gain_by_falling() -> None:
    """Told by the name; a loss that falls by 0.1 a kJ is worth its energy, one that rises is not."""
    assert [None] * 6 == judged(GainRule(per_kj=0.01), [1.0 - 0.1 * i for i in range(6)], metric="val_loss")
    assert judged(GainRule(per_kj=0.01), [1.0 + 0.1 * i for i in range(6)], metric="val_loss")[3] is not None


def test_the_best_so_far_counts_not_the_last() -> None:
    """A noisy metric that keeps reaching new bests goes on."""
    assert [None] * 7 == judged(ACCURACY, [0.1, 0.3, 0.2, 0.4, 0.3, 0.5, 0.45])


def test_another_metric_or_none_decides_nothing() -> None:
    """A name that the training never reports is no reason to stop it."""
    assert [None] * 6 == judged(GainRule(per_kj=1.0, metric="f1"), [0.1] * 6)
    assert [None] * 6 == judged(GainRule(per_kj=1.0), [0.1] * 6, metric="accuracy")


def test_a_new_phase_gains_anew() -> None:
    """That the head has learnt what it can is no reason not to fine-tune."""
    judge = Judge(StopRules(gain=GainRule(per_kj=0.01, patience=1)))
    verdicts = [
        judge.judge(epoch(index, phase=phase), spent_j=None, projections=(), metrics={"loss": 1.0})
        for phase, index in ((0, 0), (0, 1), (1, 0))
    ]

    assert [False, True, False] == [verdict is not None for verdict in verdicts]


def test_a_validation_pass_is_no_epoch_of_the_rule() -> None:
    """Its energy is no training, and it ends after the epoch that was judged."""
    judge = Judge(StopRules(gain=GainRule(per_kj=0.01, patience=1)))
    for index in range(3):
        assert judge.judge(epoch(index, validation=True), spent_j=None, projections=(), metrics={"loss": 1.0}) is None
