"""The run's total from its first epochs."""

from __future__ import annotations

import pytest

from advisor.telemetry.projection import Projector
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


def last(energies_j: list[float], total: int) -> tuple[Projection, ...]:
    """What is projected after the last of these epochs."""
    projector = Projector()
    projections: tuple[Projection, ...] = ()
    for index, energy_j in enumerate(energies_j):
        projections = projector.add(epoch(index, energy_j), total)
    return projections


def test_both_estimators_agree_on_equal_epochs() -> None:
    """Energy of the stable epochs times those to come, and mean power times duration, are one number then."""
    by_energy, by_power = last([150.0] + [100.0] * 4, total=10)

    assert ("epoch_energy", "power") == (by_energy.method, by_power.method)
    assert pytest.approx(1050.0) == by_energy.energy_j
    assert pytest.approx(1000.0) == by_power.energy_j
    assert 100.0 == by_energy.duration_s


def test_long_runs_are_projected_from_the_tenth_epoch_on() -> None:
    """Power drifts while the card warms up: the paper's window begins at epoch ten."""
    assert () == last([200.0] * 9 + [100.0], total=50)
    assert 9 * 200.0 + 41 * 100.0 == last([200.0] * 9 + [100.0] * 2, total=50)[0].energy_j


def test_interval_holds_the_value_and_what_is_spent() -> None:
    """A projection can never be below what has been used already."""
    (projection, _by_power) = last([100.0, 10.0, 200.0, 10.0], total=6)

    assert projection.energy_low_j <= projection.energy_j <= projection.energy_high_j
    assert 320.0 <= projection.energy_low_j


def test_nothing_is_projected_without_energy_or_end() -> None:
    """An unknown number of epochs has no total; a run without GPU readings has no energy."""
    assert () == Projector().add(epoch(0, 100.0), None)
    assert () == Projector().add(epoch(0, None), 10)


def test_validation_is_part_of_what_an_epoch_costs() -> None:
    """Epochs of 100 J with a validation of 20 J each: ten of them cost 1,200 J."""
    projector = Projector()
    for index in range(5):
        projections = projector.add(epoch(index, 100.0), 10)
        projector.add(epoch(index, 20.0, validation=True), 10)

    # At the fifth epoch's end its own validation is still to come, and counts as one of the spread of the window.
    assert pytest.approx(1200.0, rel=0.05) == projections[0].energy_j


def test_a_new_phase_is_projected_by_its_own_epochs() -> None:
    """Fine-tuning all layers costs more than training the head; what the head cost is spent, not a forecast."""
    projector = Projector()
    for index in range(3):
        projector.add(epoch(index, 10.0), 3)
    for index in range(3):
        projections = projector.add(epoch(index, 100.0, phase=1), 4)

    assert pytest.approx(430.0) == projections[0].energy_j


def test_a_resumed_training_has_fewer_epochs_to_come() -> None:
    """``fit(initial_epoch=5, epochs=10)`` trains five, not ten."""
    projector = Projector()
    for index in range(5, 8):
        projections = projector.add(epoch(index, 100.0), 10)

    assert pytest.approx(500.0) == projections[0].energy_j


def test_mean_power_admits_what_it_gets_wrong_of_the_warm_up() -> None:
    """A warm-up epoch that cost more is not what mean power says: the interval reaches to what is known."""
    by_energy, by_power = last([150.0] + [100.0] * 4, total=10)

    assert by_power.energy_j < by_energy.energy_j <= by_power.energy_high_j
