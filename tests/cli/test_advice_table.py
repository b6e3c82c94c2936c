"""The table says what a person needs, at any width, and nothing that steers a terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from advisor.cli.screens.advice_table import print_advice
from advisor.inspection.workload import Fact, Source, Workload
from advisor.placement.placement import Rejection
from advisor.recommendation.ranking import rank
from advisor.recommendation.rates import Rates
from advisor.recommendation.recommendation import Recommendation
from advisor.rendering.picks import Pick
from advisor.units import GIB
from tests.recommendation.examples import MODEL, joint, placement, prediction

WORKLOAD = Workload(
    framework=Fact("keras", Source.PROBE),
    model_name=Fact("resnet50", Source.PROBE),
    parameters=Fact(25_600_000, Source.PROBE),
    batch_size=Fact(64, Source.OPTION),
)
REJECTIONS = tuple(Rejection(partition=f"p{i}", gpu_model=None, reason="it has no GPU") for i in range(5))


def _recommendation(*, epochs: int | None = 10, rates: Rates | None = None) -> Recommendation:
    predictions = [
        prediction(placement("ampere", memory_bytes=size * GIB), energy_j=1e6, epochs=epochs) for size in (16, 32)
    ] + [
        prediction(placement(f"rtx{i}", "NVIDIA GeForce RTX 3070"), energy_j=(i + 2) * 1e6, epochs=epochs)
        for i in range(5)
    ]
    return rank(
        WORKLOAD,
        predictions,
        REJECTIONS,
        objective="energy",
        joint=joint(predictions),
        model=MODEL,
        rates=rates or Rates(),
    )


def _printed(recommendation: Recommendation, *, show_all: bool = False, width: int = 160, currency: str = "EUR") -> str:
    file = io.StringIO()
    picks = (Pick("partition", "ampere"),) if recommendation.recommended else ()
    print_advice(recommendation, picks, file=file, currency=currency, show_all=show_all, width=width)
    return file.getvalue()


def test_the_headline_says_what_is_known_and_what_is_not() -> None:
    """A reader sees at once which fact to give."""
    first = _printed(_recommendation()).splitlines()[0]

    assert first.startswith("gsbatch: resnet50 (keras), 25.6 M parameters, batch 64; unknown: epochs, train_samples")
    assert "--set epochs=..." in first


def test_ram_variants_share_a_line() -> None:
    """Two allocations on one GPU are one line with the one that is advised."""
    lines = [line for line in _printed(_recommendation()).splitlines() if "ampere" in line]

    assert 1 == len([line for line in lines if "NVIDIA A100" in line])
    assert "16 GiB" in lines[0]


def test_a_submission_shows_the_first_few_and_advise_shows_all() -> None:
    """Nobody reads forty lines before each job."""
    short, full = _printed(_recommendation()), _printed(_recommendation(), show_all=True)

    assert "rtx2" in short
    assert "rtx4" not in short
    assert "2 more; see: gsbatch --advise" in short
    assert "not offered: 2 more" in short
    assert "rtx4" in full
    assert "not offered: p4: it has no GPU" in full


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """A table that wraps by chance cannot be read."""
    for line in _printed(_recommendation(rates=Rates(price_per_kwh=0.3)), width=width).splitlines():
        assert len(line) <= width


@pytest.mark.parametrize("width", [40, 80])
def test_a_narrow_terminal_breaks_lines_between_words(width: int) -> None:
    """A terminal has 80 columns unless someone widens it: nothing of the table is lost or torn there."""
    recommendation = _recommendation(rates=Rates(carbon_intensity_g_per_kwh=360.0, price_per_kwh=0.3))

    text = " ".join(_printed(recommendation, width=width).split())

    assert "1 ampere, NVIDIA A100: 16 GiB of RAM, CPUs 8 1 MJ (800 kJ to 1.25 MJ), 1 h 0 min, 278 W, matched," in text
    assert "100 g CO2e, 0.08 EUR medium confidence; least energy (100% sure); GPU 70% used;" in text
    assert "needs 8 GiB of RAM 2 rtx0" in text


def test_a_narrow_terminal_says_so_of_one_epoch_too() -> None:
    """An energy without its span would be read as the run's."""
    assert "an epoch: 100 kJ" in _printed(_recommendation(epochs=None), width=80)


def test_without_epochs_figures_are_of_one_epoch_and_say_so() -> None:
    """An energy without its span would be read as the run's."""
    text = _printed(_recommendation(epochs=None))

    assert "energy/epoch" in text
    assert "100 kJ" in text


def test_what_the_dry_run_noticed_is_shown() -> None:
    """A figure that rests on an assumption says so."""
    noted = replace(_recommendation(), workload=replace(WORKLOAD, notes=("2 fits of one network",)))

    assert "  note: 2 fits of one network\n" in _printed(noted)


def test_rates_add_their_columns() -> None:
    """3.6 MJ at 0.30 are 0.30 EUR; columns without a value do not appear."""
    rated = _printed(_recommendation(rates=Rates(carbon_intensity_g_per_kwh=360.0, price_per_kwh=3.6)), currency="CHF")
    unrated = _printed(_recommendation())

    assert "CHF" in rated
    assert "1.00" in rated
    assert "100 g" in rated
    assert "CO2e" not in unrated


def test_a_small_cost_is_not_nothing() -> None:
    """0.00 would say that it is free."""
    assert " 0.0083 " in _printed(_recommendation(rates=Rates(price_per_kwh=0.03)))


def test_nothing_to_advise_is_said_in_words() -> None:
    """An empty table would leave the reader guessing."""
    nothing = rank(WORKLOAD, (), REJECTIONS[:1], objective="energy", joint=joint(()), model=MODEL, rates=Rates())

    assert "gsbatch: no advice: no placement fits: p0: it has no GPU" in _printed(nothing)


def test_names_from_a_script_cannot_steer_the_terminal() -> None:
    """A model's name is the script's to choose."""
    evil = replace(_recommendation(), workload=Workload(model_name=Fact("\x1b[2Jx\ny", Source.PROBE)))

    text = _printed(evil)

    assert "\x1b" not in text
    assert "?[2Jx?y" in text
