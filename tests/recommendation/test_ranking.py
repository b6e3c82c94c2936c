"""The ranking follows the objective, rejects what cannot work, and takes the least RAM that does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from advisor.errors import ConfigurationError
from advisor.inspection.workload import Workload
from advisor.placement.placement import Rejection
from advisor.prediction.comparison import Joint
from advisor.prediction.prediction import Estimate, Prediction
from advisor.recommendation.ranking import match_word, rank
from advisor.recommendation.rates import Rates
from advisor.recommendation.recommendation import Recommendation
from advisor.units import GIB
from tests.recommendation.examples import MODEL, around, joint, placement, prediction

FAST = prediction(placement("hopper", "NVIDIA H100"), energy_j=3e6, duration_s=1000.0)
FRUGAL = prediction(placement("rtx", "RTX 3070", gpu_memory_bytes=8 * GIB), energy_j=1e6, duration_s=9000.0)
BALANCED = prediction(placement("ampere", "NVIDIA A100"), energy_j=1.5e6, duration_s=1500.0)


def _rank(
    *predictions: Prediction,
    objective: str = "energy",
    rates: Rates | None = None,
    time_limit_s: float | None = None,
    rejections: tuple[Rejection, ...] = (),
    common: Joint | None = None,
) -> Recommendation:
    return rank(
        Workload(),
        predictions,
        rejections,
        objective=objective,
        joint=common or joint(predictions),
        model=MODEL,
        rates=rates or Rates(),
        time_limit_s=time_limit_s,
    )


def _partitions(recommendation: Recommendation) -> list[str]:
    return [item.prediction.placement.partition for item in recommendation.ranked]


@pytest.mark.parametrize(
    ("objective", "order"),
    [
        ("energy", ["rtx", "ampere", "hopper"]),
        ("carbon", ["rtx", "ampere", "hopper"]),
        ("time", ["hopper", "ampere", "rtx"]),
        ("edp", ["ampere", "hopper", "rtx"]),
    ],
)
def test_the_objective_decides_the_order(objective: str, order: list[str]) -> None:
    """Least of what was asked for comes first."""
    assert order == _partitions(_rank(FAST, FRUGAL, BALANCED, objective=objective))


def test_energies_that_are_alike_are_decided_by_the_time() -> None:
    """Nobody waits nine times as long for a percent of energy; for half of it they may."""
    slow = replace(BALANCED, placement=FRUGAL.placement, energy_j=around(1.49e6), duration_s=around(13500.0))

    assert ["ampere", "rtx"] == _partitions(_rank(slow, BALANCED))
    assert ["rtx", "ampere"] == _partitions(_rank(replace(slow, energy_j=around(0.75e6)), BALANCED))


def test_cost_weighs_energy_and_gpu_hours() -> None:
    """With dear GPU hours the fast card wins, with dear energy the frugal one."""
    dear_hours = Rates(price_per_kwh=0.1, price_per_gpu_hour=5.0)
    dear_energy = Rates(price_per_kwh=5.0, price_per_gpu_hour=0.0)

    assert "hopper" == _partitions(_rank(FAST, FRUGAL, objective="cost", rates=dear_hours))[0]
    assert "rtx" == _partitions(_rank(FAST, FRUGAL, objective="cost", rates=dear_energy))[0]


def test_cost_without_a_price_is_a_mistake_of_the_settings() -> None:
    """Silently ranking by something else would mislead."""
    with pytest.raises(ConfigurationError, match="no price"):
        _rank(FAST, objective="cost")


def test_unknown_epochs_rank_by_one_epoch() -> None:
    """The number of epochs multiplies all placements alike."""
    found = _rank(
        prediction(placement("a"), energy_j=2.0, epochs=None),
        prediction(placement("b", "G"), energy_j=1.0, epochs=None),
    )

    assert ["b", "a"] == _partitions(found)
    assert found.ranked[0].prediction.energy_j is None


def test_a_run_that_cannot_end_in_the_limit_is_rejected() -> None:
    """The user's limit and the partition's both count, and the shorter one decides."""
    short = prediction(placement("short", max_time_s=1800.0), duration_s=3600.0)

    assert ["ampere"] == _partitions(_rank(short, BALANCED))
    assert ["hopper"] == _partitions(_rank(FAST, FRUGAL, BALANCED, time_limit_s=1200.0))
    reasons = {item.partition: item.reason for item in _rank(short, BALANCED).rejections}
    assert "cannot end in time: needs about 1 h 0 min, the limit is 30.0 min" == reasons["short"]


def test_a_gpu_whose_memory_is_too_small_is_rejected_with_both_figures() -> None:
    """A run that ends in an out-of-memory error costs energy and gives nothing."""
    found = _rank(
        prediction(placement("rtx", "RTX 3070", gpu_memory_bytes=8 * GIB), gpu_memory_bytes=24 * GIB), BALANCED
    )

    assert ["ampere"] == _partitions(found)
    assert "needs about 24 GiB of GPU memory, has 8 GiB" == found.rejections[0].reason


def test_a_gpu_whose_memory_is_probably_too_small_comes_last_and_says_so() -> None:
    """What may fit is not refused, but nobody is sent there first."""
    tight = replace(FRUGAL, gpu_memory_bytes=Estimate(9.0 * GIB, 6.0 * GIB, 14.0 * GIB))

    found = _rank(tight, BALANCED)

    assert ["ampere", "rtx"] == _partitions(found)
    assert "may not fit in the GPU's memory" in found.ranked[1].reason
    assert () == found.rejections


def test_the_smallest_ram_with_a_margin_comes_first_and_the_rest_stays_beside_it() -> None:
    """8 GiB (6.4 to 10) need 12 GiB with the margin: 16 is chosen, 32 buys nothing, 9 is tight, 4 is rejected."""
    variants = [prediction(placement(memory_bytes=size * GIB)) for size in (64, 4, 32, 16, 9)]
    other = prediction(placement("rtx", "RTX 3070"), energy_j=1.01e6)
    found = _rank(*variants, other)

    assert [16, 32, 64, 9, 16] == [item.prediction.placement.memory_bytes // GIB for item in found.ranked]
    assert "more RAM buys nothing" in found.ranked[1].reason
    assert "less RAM than is safe" in found.ranked[3].reason
    assert "needs 8 GiB of RAM" in found.ranked[0].reason
    assert () == found.rejections


def test_with_no_known_need_the_largest_ram_comes_first() -> None:
    """Too much RAM costs little, too little costs the run."""
    variants = [prediction(placement(memory_bytes=size * GIB), host_memory_bytes=None) for size in (16, 64, 32)]

    assert 64 * GIB == _rank(*variants).ranked[0].prediction.placement.memory_bytes


def test_a_placement_with_too_little_ram_in_every_variant_is_rejected() -> None:
    """The reason names need and allocation."""
    found = _rank(prediction(placement(memory_bytes=4 * GIB)))

    assert found.recommended is None
    assert "needs about 8 GiB of RAM a node, gets 4 GiB" == found.rejections[0].reason
    assert found.no_advice_reason is not None
    assert "ampere, NVIDIA A100: needs about 8 GiB" in found.no_advice_reason


def test_nothing_to_rank_says_why() -> None:
    """No placement and no rejection means no GPU partition at all."""
    assert "no GPU partition was found that you may use" == _rank().no_advice_reason


@pytest.mark.parametrize(
    ("utilisation", "word"), [(0.49, "under-used"), (0.5, "matched"), (0.9, "matched"), (0.91, "strained")]
)
def test_match_words_follow_the_papers_thresholds(utilisation: float, word: str) -> None:
    """Below 50% idle power is wasted, above 90% the card is strained (arXiv 2307.05520)."""
    assert word == match_word(Estimate(utilisation, 0.0, 1.0))


def test_carbon_and_cost_are_of_the_facility_and_absent_without_rates() -> None:
    """3.6 MJ are 1 kWh; with PUE 1.5, 400 g/kWh and 0.2/kWh they are 600 g and 0.30."""
    one_kwh = prediction(placement(), energy_j=3.6e6)
    rated = _rank(one_kwh, rates=Rates(carbon_intensity_g_per_kwh=400.0, price_per_kwh=0.2, pue=1.5)).ranked[0]
    unrated = _rank(one_kwh).ranked[0]

    assert rated.carbon_g is not None
    assert rated.cost is not None
    assert pytest.approx(600.0) == rated.carbon_g.value
    assert pytest.approx(0.3) == rated.cost.value
    assert rated.cost.low < rated.cost.value < rated.cost.high
    assert (None, None) == (unrated.carbon_g, unrated.cost)


def test_every_rank_has_a_reason_that_compares_it_with_the_best() -> None:
    """A person sees at a glance what the second choice would cost."""
    found = _rank(FAST, FRUGAL)

    assert found.ranked[0].reason.startswith("least energy (100% sure); GPU 70% used")
    assert "3x the energy (2.2x to 4.1x), 0.11x the time of rank 1" in found.ranked[1].reason


def test_a_ratio_is_known_better_than_either_energy() -> None:
    """What is not known of the network moves both energies by a factor of three, and their ratio not at all."""
    vague = [replace(item, energy_j=around(item.energy_j.value, 3.0)) for item in (FRUGAL, FAST) if item.energy_j]

    apart = _rank(*vague, common=joint(vague))
    together = _rank(*vague, common=joint(vague, shared_std=0.7, std=0.05))

    assert [False, True] == [item.tied for item in apart.ranked]
    assert [False, False] == [item.tied for item in together.ranked]
    ratio = together.ranked[1].energy_over_first_choice
    assert pytest.approx(3.0) == ratio.value
    assert pytest.approx(np.exp(1.645 * 0.05 * np.sqrt(2.0))) == ratio.high / ratio.value
    assert Estimate(1.0, 1.0, 1.0) == together.ranked[0].energy_over_first_choice


def test_placements_that_cannot_be_told_apart_are_a_tie() -> None:
    """The reason says so, and the earlier end breaks it where the expected losses are alike."""
    slower = replace(BALANCED, placement=FRUGAL.placement, duration_s=around(1650.0))

    found = _rank(slower, BALANCED)

    assert ["ampere", "rtx"] == _partitions(found)
    assert [False, True] == [item.tied for item in found.ranked]
    assert "tie with 1 other" in found.ranked[0].reason
    assert "tie with rank 1: 1x the energy" in found.ranked[1].reason


def test_a_tie_goes_to_the_run_that_ends_first() -> None:
    """An hour of waiting outweighs two minutes of a faster card."""
    waits = replace(BALANCED.placement, expected_start="2026-01-01T13:00:00")
    starts = replace(FRUGAL.placement, expected_start="2026-01-01T12:00:00")
    slower = replace(BALANCED, placement=starts, duration_s=around(1650.0))

    assert ["rtx", "ampere"] == _partitions(_rank(slower, replace(BALANCED, placement=waits)))


def test_extrapolation_does_not_win_by_a_hair() -> None:
    """A prediction with an interval of a factor of five must promise more than 5% to be chosen before a sure one."""
    guessed = replace(FRUGAL, energy_j=around(0.95e6, 5.0), duration_s=around(3000.0))
    measured = replace(BALANCED, energy_j=around(1e6, 1.1), duration_s=around(3000.0))

    assert ["ampere", "rtx"] == _partitions(_rank(guessed, measured))
    assert ["rtx", "ampere"] == _partitions(_rank(replace(guessed, energy_j=around(0.2e6, 5.0)), measured))


def test_the_probabilities_of_being_least_add_up() -> None:
    """One of those that are offered is the least; RAM variants of a placement share its probability."""
    variants = [prediction(placement(memory_bytes=size * GIB)) for size in (16, 32)]
    found = _rank(*variants, FRUGAL, FAST)

    by_partition = {item.prediction.placement.partition: item.probability_least for item in found.ranked}
    assert pytest.approx(1.0) == sum(by_partition.values())
    assert by_partition["rtx"] > by_partition["hopper"]
    assert 1 == len({item.probability_least for item in found.ranked if item.prediction in variants})


def test_nothing_that_is_rejected_takes_part() -> None:
    """What cannot be used can be neither the first choice nor the least."""
    hopeless = prediction(placement("tiny", "GT 1030", gpu_memory_bytes=GIB), energy_j=1.0)
    found = _rank(hopeless, FRUGAL)

    assert ["rtx"] == _partitions(found)
    assert 1.0 == found.ranked[0].probability_least


def test_earlier_rejections_are_kept() -> None:
    """What placement left out stays explained."""
    early = Rejection(partition="hidden", gpu_model=None, reason="you may not use it")

    assert early in _rank(FAST, rejections=(early,)).rejections
