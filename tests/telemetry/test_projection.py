"""The run's total from its first epochs."""

from __future__ import annotations

import math

import pytest

from advisor.prediction.prediction import Estimate
from advisor.telemetry.projection import Expectation, Projector
from advisor.telemetry.stability import stable_from
from advisor.telemetry.trace import Epoch, Projection


def epoch(
    index: int, energy_j: float | None, duration_s: float = 10.0, *, phase: int = 0, validation: bool = False
) -> Epoch:
    """The epoch of this index."""
    started_at = index * duration_s
    return Epoch(
        phase=phase, index=index, validation=validation, started_at=started_at, ended_at=started_at + duration_s,
        steps=None, samples=None, gpu_energy_j=energy_j,
    )  # fmt: skip


def last(energies_j: list[float], total: int | None, expected: Expectation | None = None) -> tuple[Projection, ...]:
    """What is projected after the last of these epochs."""
    projector = Projector(expected)
    projections: tuple[Projection, ...] = ()
    for index, energy_j in enumerate(energies_j):
        projections = projector.add(epoch(index, energy_j), total)
    return projections


def expectation(energy_j: float, *, epochs: int | None = None) -> Expectation:
    """An offline prediction that is sure to within a factor of 1.5."""
    energy = Estimate(energy_j, energy_j / 1.5, energy_j * 1.5)
    return Expectation(epoch_energy_j=energy, epoch_duration_s=Estimate(10.0, 5.0, 20.0), epochs=epochs)


def test_all_estimators_agree_on_equal_epochs_but_for_the_first() -> None:
    """Energy of the stable epochs times those to come, and mean power times duration; the best comes last."""
    by_power, by_energy, best = last([150.0] + [100.0] * 4, total=10)

    assert ("power", "epoch_energy", "stable") == (by_power.method, by_energy.method, best.method)
    assert pytest.approx(1000.0) == by_power.energy_j
    assert pytest.approx(1050.0) == by_energy.energy_j == best.energy_j
    assert (100.0, 5, 10, 1) == (best.duration_s, best.epochs_done, best.epochs_in_all, best.stable_from)


def test_a_warm_up_counts_as_spent_and_is_no_forecast() -> None:
    """Four epochs at double power are over: what is stable begins with the fifth."""
    (*_papers, best) = last([200.0] * 4 + [100.0] * 4, total=20)

    assert 4 == best.stable_from
    assert pytest.approx(800.0 + 16 * 100.0) == best.energy_j


def test_the_tenth_epoch_is_stable_at_last() -> None:
    """Epochs that never become level are projected as the paper does it: by up to five from the tenth on."""
    steep = [100.0 * 1.2**index for index in range(9)]

    assert ("early",) == tuple(projection.method for projection in last(steep, total=50))
    assert 9 == last([*steep, 480.0, 540.0], total=50)[-1].stable_from


def test_before_stability_the_offline_prediction_is_corrected_by_what_was_seen() -> None:
    """Epochs of 100 J against an expected 200 J: nearer to what was seen, and narrower than either alone."""
    (alone,) = last([100.0] * 2, total=10)
    (both,) = last([100.0] * 2, total=10, expected=expectation(200.0))

    assert ("early", "early") == (alone.method, both.method)
    assert alone.energy_j == pytest.approx(1000.0)
    assert alone.energy_j < both.energy_j < 200.0 + 8 * math.sqrt(100.0 * 200.0)
    assert (both.energy_high_j - both.energy_low_j) / both.energy_j < (
        alone.energy_high_j - alone.energy_low_j
    ) / alone.energy_j


def test_the_prediction_says_how_many_epochs_where_the_script_does_not() -> None:
    """Loops of one's own do not say; the ticket's workload does."""
    assert () == last([100.0], total=None)
    assert pytest.approx(400.0) == last([100.0] * 2, None, expectation(100.0, epochs=4))[-1].energy_j


def test_interval_holds_the_value_and_what_is_spent() -> None:
    """A projection can never be below what has been used already."""
    for projection in last([100.0, 10.0, 200.0, 10.0], total=6):
        assert projection.energy_low_j <= projection.energy_j <= projection.energy_high_j
        assert 320.0 <= projection.energy_low_j


def test_nothing_is_projected_without_energy_or_end() -> None:
    """No number of epochs, no total; no GPU readings, no energy; and what has ended needs no guess."""
    assert () == Projector().add(epoch(0, 100.0), None)
    assert () == Projector().add(epoch(0, None), 10)
    assert () == last([100.0] * 3, total=3)


def test_validation_is_part_of_what_an_epoch_costs() -> None:
    """Epochs of 100 J with a validation of 20 J each: ten of them cost 1,200 J."""
    projector = Projector()
    for index in range(5):
        projections = projector.add(epoch(index, 100.0), 10)
        projector.add(epoch(index, 20.0, validation=True), 10)

    # At the fifth epoch's end its own validation is still to come.
    assert pytest.approx(1200.0, rel=0.05) == projections[-1].energy_j


def test_what_lies_outside_the_epochs_is_part_of_the_run() -> None:
    """A start-up of 500 J, then 100 J an epoch and 50 J between: ten epochs cost 500 + 1000 + 9 x 50 J."""
    projector = Projector()
    for index in range(6):
        so_far = (600.0 + 150.0 * index, 60.0 + 15.0 * index)
        projections = projector.add(epoch(index, 100.0), 10, so_far)
        projector.add(epoch(index, 20.0, validation=True), 10, so_far)

    assert pytest.approx(1950.0) == projections[-1].energy_j
    assert pytest.approx(60.0 + 15.0 * 9) == projections[-1].duration_s


def test_a_new_phase_is_projected_by_its_own_epochs() -> None:
    """Fine-tuning all layers costs more than training the head; what the head cost is spent, not a forecast."""
    projector = Projector(expectation(10.0))
    for index in range(3):
        projector.add(epoch(index, 10.0), 3)
    for index in range(3):
        projections = projector.add(epoch(index, 100.0, 11.0, phase=1), 4)

    assert pytest.approx(430.0) == projections[-1].energy_j


def test_a_resumed_training_has_fewer_epochs_to_come() -> None:
    """``fit(initial_epoch=5, epochs=10)`` trains five, not ten."""
    projector = Projector()
    for index in range(5, 9):
        projections = projector.add(epoch(index, 100.0), 10)

    assert 6 == projections[-1].stable_from
    assert pytest.approx(500.0) == projections[-1].energy_j


def test_mean_power_admits_what_it_gets_wrong_of_the_warm_up() -> None:
    """A warm-up epoch that cost more is not what mean power says: the interval reaches to what is known."""
    by_power, by_energy, _best = last([150.0] + [100.0] * 4, total=10)

    assert by_power.energy_j < by_energy.energy_j <= by_power.energy_high_j


def test_thousands_of_short_epochs_are_projected_once_a_second() -> None:
    """Episodic trainings must not keep the sampler busy with arithmetic."""
    projector = Projector()
    projected = [projector.add(epoch(index, 1.0, 0.01), 10_000) for index in range(1000)]

    assert 9 <= sum(map(bool, projected)) <= 11


@pytest.mark.parametrize("duration_s", [0.0, -1.0])
def test_a_clock_that_stood_still_harms_nothing(duration_s: float) -> None:
    """Epochs without length have no power; their energy is projected all the same, or nothing is."""
    projector = Projector()
    for index in range(12):
        for projection in projector.add(epoch(index, 0.0, duration_s), 50):
            assert math.isfinite(projection.energy_j)


def test_level_epochs_are_stable_from_the_first() -> None:
    """Three are the fewest that can be judged."""
    assert stable_from([(100.0, 10.0)] * 2) is None
    assert 0 == stable_from([(100.0, 10.0)] * 3)


@pytest.mark.parametrize("changed", [(130.0, 10.0), (100.0, 12.0), (120.0, 12.0)])
def test_a_change_of_power_or_duration_begins_anew(changed: tuple[float, float]) -> None:
    """Power alone, duration alone, and both at equal energy a second."""
    assert 6 == stable_from([changed] * 6 + [(100.0, 10.0)] * 4)


def test_one_long_epoch_is_no_new_level() -> None:
    """A checkpoint or a noisy neighbour now and then is part of what is stable, the last epoch included."""
    level = [(100.0 + 0.1 * (index % 3), 10.0) for index in range(8)]

    assert 0 == stable_from([*level, (120.0, 12.0)])


def test_a_slow_drift_is_not_stable_until_it_has_settled() -> None:
    """Power that rises by ever less: what counts as stable lies past the steep part."""
    drifting = [(100.0 * (1 - 0.2 * math.exp(-index / 3)), 1.0) for index in range(20)]
    found = stable_from(drifting)

    assert found is not None
    assert drifting[found][0] > 0.97 * drifting[-1][0]
