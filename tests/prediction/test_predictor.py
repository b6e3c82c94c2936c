from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.errors import ImplausibleWorkload
from advisor.inventory.model import GpuModel
from advisor.prediction.features import setting_of
from advisor.prediction.model import PredictionModel
from advisor.prediction.prediction import Estimate
from advisor.prediction.predictor import predict, with_runs
from tests.prediction.workloads import RESNET50, gpu, placement, workload

GPUS = ("NVIDIA GeForce GTX 750 Ti", "NVIDIA GeForce RTX 3090", "a100", "NVIDIA H100 80GB HBM3", "l40s", "v100")


def test_power_times_duration_and_epochs_times_epoch_energy_are_one_number(prior: PredictionModel) -> None:
    """However a user multiplies what is shown, the energy is the same."""
    for found in predict(workload(**RESNET50), [placement(gpu(name), gpus=2) for name in GPUS], prior):
        assert found.energy_j is not None
        assert found.duration_s is not None

        assert pytest.approx(found.energy_j.value, rel=1e-9) == found.mean_power_w.value * found.duration_s.value
        assert pytest.approx(found.energy_j.value, rel=1e-9) == 10 * found.epoch_energy_j.value


def test_every_interval_holds_its_value_and_power_stays_below_the_limit(prior: PredictionModel) -> None:
    """Low, value and high are in order for every quantity, and no board is said to draw much above its limit."""
    for name in GPUS:
        (found,) = predict(workload(**RESNET50), [placement(gpu(name))], prior)
        for field in fields(found):
            estimate = getattr(found, field.name)
            if isinstance(estimate, Estimate):
                assert estimate.low <= estimate.value <= estimate.high, field.name
        tdp_w = gpu(name).tdp_w
        assert tdp_w is not None
        assert found.mean_power_w.high <= 1.1 * tdp_w


def test_placements_come_back_in_order_and_ram_changes_nothing(prior: PredictionModel) -> None:
    """Each prediction carries its own placement; more RAM on the same GPU is not a different energy."""
    asked = [placement(gpu("a100"), memory_gib=16), placement(gpu("l40s")), placement(gpu("a100"), memory_gib=256)]

    found = predict(workload(**RESNET50), asked, prior)

    assert asked == [prediction.placement for prediction in found]
    assert found[0].epoch_energy_j == found[2].epoch_energy_j
    assert found[0].epoch_energy_j != found[1].epoch_energy_j


def test_unknown_number_of_epochs_leaves_totals_out(prior: PredictionModel) -> None:
    """Without epochs there is an epoch's energy but no run's."""
    facts = {name: value for name, value in RESNET50.items() if name != "epochs"}

    (found,) = predict(workload(**facts), [placement(gpu("a100"))], prior)

    assert found.energy_j is None
    assert found.duration_s is None
    assert found.epoch_energy_j.value > 0


@pytest.mark.parametrize(
    ("stated", "same_as"),
    [
        ({"steps": 1000}, {"train_samples": 64_000, "epochs": 1}),
        ({"steps": 1000, "gradient_accumulation": 4}, {"train_samples": 256_000, "epochs": 1}),
        ({"steps": 1000, "epochs": 4}, {"train_samples": 16_000, "epochs": 4}),
        ({"steps": 1000, "train_samples": 8_000}, {"train_samples": 8_000, "epochs": 8}),
        ({"steps": 1000, "train_samples": 8_000, "epochs": 2}, {"train_samples": 8_000, "epochs": 2}),
    ],
)
@pytest.mark.parametrize("gpus", [1, 2])
def test_steps_tell_the_work_where_epochs_or_samples_are_unknown(
    prior: PredictionModel, stated: dict[str, int], same_as: dict[str, int], gpus: int
) -> None:
    """A run is as long as its steps, each of one global batch times accumulation; epochs and samples go first."""
    lengths = {"train_samples", "epochs"}
    facts = {name: value for name, value in RESNET50.items() if name not in lengths} | {"validation_samples": 0}
    asked = [placement(gpu("a100"), gpus=gpus)]

    (found,) = predict(workload(**facts, **stated), asked, prior)
    (expected,) = predict(workload(**facts, **same_as), asked, prior)

    assert expected.duration_s is not None
    assert found.duration_s is not None
    assert found.energy_j is not None
    assert pytest.approx(expected.duration_s.value) == found.duration_s.value
    assert pytest.approx(found.energy_j.value) == found.mean_power_w.value * found.duration_s.value
    assert _width(expected.duration_s) == pytest.approx(_width(found.duration_s))
    assert ("from its steps" in found.reason) == (len(lengths & stated.keys()) < len(lengths))


def test_steps_of_an_unknown_batch_tell_nothing(prior: PredictionModel) -> None:
    """A typical batch size is a guess too far for a run's total."""
    facts = {name: value for name, value in RESNET50.items() if name not in {"batch_size", "epochs"}}

    (found,) = predict(workload(**facts, steps=1000), [placement(gpu("a100"))], prior)

    assert found.energy_j is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("batch_size", -32),
        ("steps", -1),
        ("validation_samples", -1),
        ("training_flops_per_sample", 1e30),
        ("activation_elements", float("inf")),
        ("train_samples", -5),
        ("forward_flops_per_sample", 1e30),
        ("forward_flops_per_sample", float("nan")),
        ("epochs", 0),
        ("input_shape", (0, 224, 3)),
        ("parameters", -1),
    ],
)
def test_absurd_facts_are_refused_by_name(prior: PredictionModel, name: str, value: object) -> None:
    """A fact no training can have gives an error that names it, never a number."""
    with pytest.raises(ImplausibleWorkload, match=name):
        predict(workload(**{**RESNET50, name: value}), [placement(gpu("a100"))], prior)


@pytest.mark.parametrize("missing", ["forward_flops_per_sample", "batch_size", "layers", "input_shape", "parameters"])
def test_a_missing_fact_widens_the_interval_and_is_named(prior: PredictionModel, missing: str) -> None:
    """What is not known is filled in, said, and paid for with width."""
    unheard_of = {**RESNET50, "model_name": "ournet"}
    less = {name: value for name, value in unheard_of.items() if name != missing}

    (full,) = predict(workload(**unheard_of), [placement(gpu("a100"))], prior)
    (found,) = predict(workload(**less), [placement(gpu("a100"))], prior)

    assert missing in found.reason
    assert _width(full.epoch_energy_j) < _width(found.epoch_energy_j)


def test_an_unknown_gpu_is_wide_not_silent(prior: PredictionModel) -> None:
    """A GPU with a name and nothing else gets the widest interval and low confidence."""
    bare = GpuModel(name="mystery", known=False)

    known, unknown = predict(workload(**RESNET50), [placement(gpu("a100")), placement(bare)], prior)

    assert unknown.confidence == "low"
    assert "gpu peak_fp32" in unknown.reason
    assert _width(known.epoch_energy_j) < _width(unknown.epoch_energy_j)


def test_an_empty_workload_is_predicted_with_low_confidence(prior: PredictionModel) -> None:
    """Nothing known is no crash: a wide interval that says so."""
    (found,) = predict(workload(), [placement(gpu("a100"))], prior)

    assert found.confidence == "low"


def test_no_placements_is_no_predictions(prior: PredictionModel) -> None:
    """An empty list in gives an empty list out."""
    assert [] == predict(workload(**RESNET50), [], prior)


@settings(max_examples=40, deadline=None)
@given(
    batch_size=st.integers(1, 8192),
    train_samples=st.integers(1, 10**9),
    flops=st.floats(1e3, 1e15),
    parameters=st.integers(1, 10**12),
    gpus=st.sampled_from([1, 2, 8, 64]),
)
def test_every_plausible_workload_gets_finite_positive_estimates(  # noqa: PLR0917
    prior: PredictionModel, batch_size: int, train_samples: int, flops: float, parameters: int, gpus: int
) -> None:
    """Far outside what was measured there is still a number, an interval around it, and no overflow."""
    facts = {
        **RESNET50,
        "batch_size": batch_size,
        "train_samples": train_samples,
        "forward_flops_per_sample": flops,
        "parameters": parameters,
        "trainable_parameters": parameters,
    }

    (found,) = predict(workload(**facts), [placement(gpu("h100"), gpus=gpus)], prior)

    for estimate in (found.mean_power_w, found.epoch_energy_j, found.epoch_duration_s, found.gpu_memory_bytes):
        assert estimate is not None
        assert 0 < estimate.low <= estimate.value <= estimate.high < float("inf")


def test_more_samples_cost_proportionally_more(prior: PredictionModel) -> None:
    """An epoch of twice the data, validation included, takes about twice as long on a machine nothing is known of."""
    twice = {**RESNET50, "train_samples": 100_000, "validation_samples": 20_000}

    (one,) = predict(workload(**RESNET50), [placement(gpu("a100"))], prior)
    (two,) = predict(workload(**twice), [placement(gpu("a100"))], prior)

    assert pytest.approx(2.0, rel=0.01) == two.epoch_duration_s.value / one.epoch_duration_s.value


def test_one_run_pulls_its_partition_and_narrows_it(prior: PredictionModel) -> None:
    """A recorded run moves predictions of its own partition towards it and leaves an interval that holds it."""
    asked = placement(gpu("h100"), partition="hopper")
    (before,) = predict(workload(**RESNET50), [asked], prior)
    measured_s = 2.0 * before.epoch_duration_s.value
    setting = setting_of(workload(**RESNET50), asked, site="hopper/NVIDIA H100 80GB HBM3")
    setting = replace(setting, site=f"hopper/{asked.gpu.name}")

    calibrated = with_runs(
        prior, [setting], log_time_s=np.log([measured_s]), power_w=np.array([400.0]), runs=np.array([1.0])
    )
    (after,) = predict(workload(**RESNET50), [asked], calibrated)
    (other,) = predict(workload(**{**RESNET50, "batch_size": 32}), [asked], calibrated)
    (other_before,) = predict(workload(**{**RESNET50, "batch_size": 32}), [asked], prior)

    assert pytest.approx(measured_s, rel=0.1) == after.epoch_duration_s.value
    assert _width(after.epoch_duration_s) < _width(before.epoch_duration_s)
    assert other.epoch_duration_s.value > 1.2 * other_before.epoch_duration_s.value
    assert {"hopper": {asked.gpu.name}} == calibrated.measured_gpus()
    assert {} == prior.measured_gpus()


def _width(estimate: Estimate) -> float:
    return estimate.high / estimate.low
