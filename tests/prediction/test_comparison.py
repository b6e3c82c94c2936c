"""Two placements of one workload are compared with what their predictions have in common."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from advisor.prediction import process
from advisor.prediction.comparison import MOST_JOINT, Joint, joint_of, pair_kinds
from advisor.prediction.model import FEW_RUNS, NEW_GPU, NEW_MACHINE, NEW_NETWORK, PAIR_KINDS, SEEN, PredictionModel
from advisor.prediction.predictor import foresee
from tests.prediction.workloads import RESNET50, gpu, placement, workload

GPUS = ("rtx_3090", "rtx_3070", "h100_80gb_hbm3", "v100-sxm2-16gb")


def _joint(prior: PredictionModel, *gpus: str, without: str = "") -> Joint:
    placements = [placement(gpu(name), partition=f"p{i}") for i, name in enumerate(gpus)]
    facts = {name: value for name, value in RESNET50.items() if name != without}
    outlook = foresee(workload(**facts), placements, prior)
    return joint_of(prior, outlook)


def test_the_covariance_has_the_single_predictions_variances(prior: PredictionModel) -> None:
    """Taken alone, each placement is as uncertain in the comparison as in its own prediction."""
    placements = [placement(gpu(name)) for name in GPUS]
    outlook = foresee(workload(**RESNET50), placements, prior)
    joint, seen = joint_of(prior, outlook), outlook.forecast

    alone = seen.time_std**2 + seen.log_power_std**2

    assert pytest.approx(alone, rel=1e-6) == np.diag(joint.covariance(joint.energy()))


def test_covariances_are_those_of_conditioning(prior: PredictionModel) -> None:
    """The covariance of new rows is what the process's own algebra gives for them."""
    seen = foresee(workload(**RESNET50), [placement(gpu(name)) for name in GPUS], prior).forecast
    fitted, rows = prior.time, seen.time.rows
    which = np.arange(len(rows))

    cross = process.kernel(fitted.hyper, process.pairs_of(rows, fitted.rows)) + rows.constants @ fitted.rows.constants.T
    known = process.kernel(fitted.hyper, process.pairs_of(fitted.rows, fitted.rows))
    known += fitted.rows.constants @ fitted.rows.constants.T
    known[np.diag_indices_from(known)] += process.noise_variance(fitted.hyper, fitted.runs) + 1e-8
    prior = process.kernel(fitted.hyper, process.pairs_of(rows, rows)) + rows.constants @ rows.constants.T
    expected = prior - cross @ np.linalg.solve(known, cross.T)
    off = ~np.eye(len(rows), dtype=bool)

    assert pytest.approx(expected[off], abs=1e-6) == seen.time.covariance(which)[off]


def test_a_fact_that_is_not_known_widens_energies_more_than_their_ratio(prior: PredictionModel) -> None:
    """Unknown samples multiply the energy of every placement alike: the ratio does not move at all."""
    known, unknown = _joint(prior, *GPUS), _joint(prior, *GPUS, without="train_samples")

    of_one = [np.diag(joint.covariance(joint.energy()))[0] for joint in (known, unknown)]
    of_ratio = [joint.over(joint.energy(), 0)[1] for joint in (known, unknown)]

    assert of_one[1] > of_one[0] + 0.05
    assert pytest.approx(of_ratio[0].high / of_ratio[0].low, rel=0.02) == of_ratio[1].high / of_ratio[1].low


def test_the_first_choice_beside_itself_is_one(prior: PredictionModel) -> None:
    """Its ratio is exactly 1, and that of two placements is the inverse seen from the other."""
    joint = _joint(prior, *GPUS)
    forth, back = joint.over(joint.energy(), 0), joint.over(joint.energy(), 1)

    assert (1.0, 1.0, 1.0) == (forth[0].value, forth[0].low, forth[0].high)
    assert pytest.approx(1.0) == forth[1].value * back[0].value
    assert pytest.approx(1.0) == forth[1].high * back[0].low


def test_two_unknown_partitions_with_one_gpu_differ_by_their_hosts(prior: PredictionModel) -> None:
    """They share a row, yet nobody knows that their hosts are the same."""
    joint = _joint(prior, "rtx_3090", "rtx_3090")
    beside = joint.over(joint.energy(), 0)[1]

    assert 1.0 == beside.value
    assert beside.low < 1.0 < beside.high
    assert (1.0, 1.0) == (joint.over(joint.energy(), 0)[0].low, joint.over(joint.energy(), 0)[0].high)
    assert pytest.approx(0.5) == joint.contest(joint.energy(), [0, 1]).least[0]


def test_regrets_and_probabilities_follow_the_draws(prior: PredictionModel) -> None:
    """Probabilities add up to 1, no regret is negative, and the most probable least has the smallest."""
    joint = _joint(prior, *GPUS)
    contest = joint.contest(joint.energy(), range(len(GPUS)))

    assert pytest.approx(1.0) == contest.least.sum()
    assert (contest.regret >= 0).all()
    assert contest.least.argmax() == contest.regret.argmin()
    assert contest.least.tolist() == joint.contest(joint.energy(), range(len(GPUS))).least.tolist()


def test_wider_pairs_make_less_sure(prior: PredictionModel) -> None:
    """What withheld pairs ask for reaches intervals and probabilities."""
    joint = _joint(prior, *GPUS)
    wider = replace(joint, widths=3 * joint.widths)

    assert wider.over(joint.energy(), 0)[1].high > joint.over(joint.energy(), 0)[1].high
    everyone = range(len(GPUS))
    assert wider.contest(wider.energy(), everyone).least.max() < joint.contest(joint.energy(), everyone).least.max()


def test_more_rows_than_are_compared_jointly_are_still_ranked(prior: PredictionModel) -> None:
    """A cluster with more GPU models than that does not exist; if it did, all would have a figure."""
    base = gpu("rtx_3090")
    many = [
        placement(replace(base, name=f"GPU {i}", tdp_w=200.0 + i), partition=f"p{i}") for i in range(MOST_JOINT + 10)
    ]
    outlook = foresee(workload(**RESNET50), many, prior)
    joint = joint_of(prior, outlook)

    assert pytest.approx(1.0) == joint.contest(joint.energy(), range(len(many))).least.sum()
    assert len(many) == len(joint.over(joint.energy(), 0))


def test_a_mig_slices_power_is_not_certain(prior: PredictionModel) -> None:
    """No board reports the power of one slice, so its power is less certain than the whole board's."""
    whole, part = gpu("a100-sxm4-80gb"), gpu("nvidia_a100-sxm4-80gb_1g.10gb")
    seen = foresee(workload(**RESNET50), [placement(whole), placement(part)], prior).forecast

    assert seen.power_std[1] ** 2 > seen.power_std[0] ** 2 + 0.1


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (SEEN, NEW_NETWORK, "known machines"),
        (FEW_RUNS, SEEN, "few runs on one"),
        (NEW_GPU, FEW_RUNS, "one new machine"),
        (NEW_MACHINE, NEW_GPU, "two new machines"),
    ],
)
def test_the_less_known_machine_decides_the_kind_of_a_pair(one: int, other: int, expected: str) -> None:
    """In either order."""
    kinds = [pair_kinds(np.array([a]), b)[0] for a, b in ((one, other), (other, one))]

    assert [expected, expected] == [PAIR_KINDS[kind] for kind in kinds]
