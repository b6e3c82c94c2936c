from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from advisor.prediction import process
from advisor.prediction.model import FEW_RUNS, NEW_BATCH, NEW_HERE, NEW_MACHINE, NEW_NETWORK, NOVELTIES
from advisor.training.conformal import Scored, Spreads, _of_site, interval_widths, left_out, quantile, withheld_groups


def _rows(count: int) -> process.Rows:
    rng = np.random.default_rng(1)
    names = np.array([f"g{i % 5}" for i in range(count)])
    shapes = {"regime": 5, "shape": 7, "board": 4, "bound": 5, "constants": 3}
    spaces = {name: rng.normal(size=(count, width)) for name, width in shapes.items()}
    return process.Rows(
        study=names, site=names, gpu=names, network=names, framework=names, ram=names,
        setting=np.array([str(i) for i in range(count)]), **spaces,
    )  # fmt: skip


def _fitted(count: int, scale: float = 1.0) -> process.Fitted:
    rng, pull = np.random.default_rng(2), np.array([0.5, -1.0, 0.0])
    return process.condition(process.INITIAL, _rows(count), scale * rng.normal(size=count), np.ones(count), pull)


def test_the_closed_form_is_what_refitting_without_the_group_gives() -> None:
    """Errors of withheld groups come from one factorisation and equal those of conditioning on the others only."""
    whole, groups = _fitted(30), np.arange(30) % 5
    ((errors, deviations),) = left_out(whole, [np.flatnonzero(groups == 3)])

    kept, withheld = np.flatnonzero(groups != 3), np.flatnonzero(groups == 3)
    others = process.condition(
        process.INITIAL, whole.rows.take(kept), whole.residuals[kept], whole.runs[kept], whole.pull
    )
    mean, std = others.predict(whole.rows.take(withheld))

    assert pytest.approx(whole.residuals[withheld] - mean, abs=1e-6) == errors
    assert pytest.approx(std, rel=1e-3) == deviations


def test_a_process_repeats_what_it_was_shown() -> None:
    """On its own rows the process gives back the residuals, closely, with little doubt; far away neither."""
    rows, rng = _rows(30), np.random.default_rng(3)
    residuals = 0.3 * rng.normal(size=30)
    fitted = process.condition(process.INITIAL, rows, residuals, np.full(30, 20.0), np.zeros(3))

    mean, std = fitted.predict(rows)

    assert pytest.approx(residuals, abs=0.25) == mean
    assert float(std.max()) < float(np.sqrt(process.prior_variance(process.INITIAL, rows)).min())


def test_names_that_are_not_known_are_not_shared() -> None:
    """Two runs of which no machine is named are not runs of one machine."""
    labels = np.array(["", "", "a", "a"])

    assert [False, False, True, True] == process._same(labels, labels.copy())[3].tolist()
    assert not process._same(labels, labels.copy())[0].any()
    assert process._same(labels, labels)[0].tolist() == [True, False, False, False]


def test_few_groups_ask_for_their_largest_score() -> None:
    """With a single group there is no 90% quantile of groups: the worst that was seen stands for it."""
    one = np.array(["a", "a"])

    assert quantile(np.array([1.0, 2.0]), one, one) == 2.0


def test_a_large_study_does_not_drown_a_small_one() -> None:
    """A study of a thousand easy groups leaves the width that a hard study needs."""
    scores = np.concatenate([np.full(1000, 0.5), np.full(60, 3.0)])
    groups = np.array([str(i) for i in range(1060)])
    studies = np.array(["easy"] * 1000 + ["hard"] * 60)

    assert quantile(scores, groups, studies) > 2


def test_what_is_withheld_is_what_each_kind_of_novelty_lacks() -> None:
    """A whole network, a whole machine, all but a few runs of a GPU; every one of them is named."""
    rows = _rows(20)

    assert all(4 == len(which) for _, which in withheld_groups(rows, NEW_NETWORK))
    assert {"g0", "g1", "g2", "g3", "g4"} == {name for name, _ in withheld_groups(rows, NEW_MACHINE)}
    assert {1, 3} == {len(which) for _, which in withheld_groups(rows, FEW_RUNS)}
    assert 20 == len(list(withheld_groups(rows, NEW_BATCH)))


def test_a_network_known_elsewhere_is_withheld_from_one_machine() -> None:
    """Its width comes from withholding the pair: that others ran it makes the process surer, not always righter."""
    rows = replace(_rows(20), network=np.array([f"n{i % 4}" for i in range(20)]))
    sizes = {name: len(which) for name, which in withheld_groups(rows, NEW_HERE)}
    pairs = {f"{site}|{network}" for site, network in zip(rows.site.tolist(), rows.network.tolist(), strict=True)}

    assert dict.fromkeys(pairs, 1) == sizes
    assert [] == list(withheld_groups(_rows(20), NEW_HERE))


def test_a_machine_that_asks_for_more_gets_all_of_it() -> None:
    """Ten other machines that err little do not narrow the interval of the one that errs much."""
    scores = np.concatenate([np.full(100, 1.0), np.full(3, 4.0)])
    names = np.array([str(i) for i in range(103)])
    found = Scored(scores, names, np.array(["calm"] * 100 + ["wild"] * 3), names)

    assert 4.0 == _of_site(found, "wild", 1.0)
    assert 1.0 == _of_site(found, "calm", 1.0)
    assert 1.0 < _of_site(found, "calm", 2.0) < 2.0


def test_a_process_that_errs_more_than_it_thinks_gets_wider_intervals() -> None:
    """Widths follow what withheld groups show, for every kind of novelty that has any and every known machine."""
    every, unknown = np.arange(30), np.full(30, np.nan)
    spreads = Spreads(every, every, unknown, unknown, unknown, np.ones(30))
    calm, wild = (interval_widths(f, f, f, spreads) for f in (_fitted(30, 0.3), _fitted(30, 3.0)))

    asked = [kind for kind in range(1, len(NOVELTIES)) if list(withheld_groups(_rows(30), kind))]
    assert len(NOVELTIES) - 2 == len(asked)
    assert (wild.general[0, asked] > calm.general[0, asked]).all()
    assert (5, len(NOVELTIES)) == calm.of_sites.shape[::2]
