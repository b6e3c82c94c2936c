"""The report compares what can be compared, says why where it does not, and shows nothing it does not know."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from advisor.cli.screens.printable import printable
from advisor.cli.screens.report import report_object, report_text, shown_job_id
from advisor.corpus.comparison import comparisons, method_comparisons
from advisor.corpus.run import Run, RunEpoch
from advisor.inspection.workload import Fact, Source, Workload
from advisor.prediction.prediction import MethodEstimate, ModelIdentity
from advisor.recommendation.rates import Rates
from advisor.telemetry.trace import Projection, Stop
from advisor.units import GIB
from advisor.workflows.course import Course
from tests.corpus.measured import PREDICTION

RUN = Run(
    cluster="mini",
    job_id="13",
    array_job_id="5",
    array_task="1",
    restart=0,
    local=False,
    user="alice",
    account="bigml",
    state="COMPLETED",
    exit_status=0,
    started_at=1.7e9,
    partition="ampere",
    nodes=1,
    gpus=1,
    gpu_model="NVIDIA A100",
    memory_bytes=16 * GIB,
    cpus=4,
    workload=Workload(model_name=Fact("resnet50", Source.PROBE), epochs=Fact(10, Source.PROBE)),
    script_sha256="ab",
    ticket_id="t",
    followed=True,
    energy_j=8000.0,
    energy_source="nvml_counter",
    quality="complete",
    mean_power_w=160.0,
    epochs=10,
    epoch_energy_j=780.0,
    epoch_duration_s=4.9,
    duration_s=50.0,
    elapsed_s=52.0,
    gpu_utilisation=0.7,
    gpu_memory_bytes=4 * GIB,
    host_memory_bytes=3 * GIB,
    host_energy_j=None,
    predicted=PREDICTION,
    model=ModelIdentity(name="prior", version="1", trained_on_runs=857, promoted_at="2026-11-01"),
)


def compared(run: Run) -> dict[str, tuple[float | None, bool | None, str | None]]:
    """Error, within and remark of each quantity."""
    return {item.name: (item.error, item.within_interval, item.remark) for item in comparisons(run)}


def test_error_is_predicted_against_measured() -> None:
    """An error of +25% means that a quarter more was predicted than measured; the interval's ends count as within."""
    found = compared(RUN)

    assert (0.25, True, None) == found["energy_j"]
    assert (0.25, True, None) == found["mean_power_w"]
    assert found["epoch_energy_j"][1] is False


def test_what_was_not_predicted_is_only_shown() -> None:
    """A measured value without a prediction has no error."""
    assert (None, None, None) == compared(RUN)["gpu_memory_bytes"]


@pytest.mark.parametrize("state", ["RUNNING", "FAILED", "TIMEOUT", "CANCELLED"])
def test_unfinished_work_is_not_held_against_the_whole(state: str) -> None:
    """Energy and duration of half a run say nothing about a prediction for all of it; its epochs do."""
    found = compared(replace(RUN, state=state))

    assert (None, None, f"so far; the job is {state}") == found["energy_j"]
    assert (None, None, f"so far; the job is {state}") == found["duration_s"]
    assert found["epoch_energy_j"][0] is not None


@pytest.mark.parametrize("source", ["rapl", "sacct"])
def test_energy_of_other_meters_is_not_compared(source: str) -> None:
    """What is predicted is the GPUs' energy; a host's or a node's is something else."""
    found = compared(replace(RUN, energy_source=source))

    assert (None, None, "not of the GPUs") == found["energy_j"]
    assert (None, None, "not of the GPUs") == found["mean_power_w"]


def test_text_shows_the_run_and_where_its_energy_is_from() -> None:
    """A person sees the job's own id, both values, the error, the interval's verdict, the source and the model."""
    text = report_text(RUN, Course(), Rates())

    assert "Job 5_1, alice, resnet50: COMPLETED on ampere, 1 x NVIDIA A100" in text
    energy = next(line for line in text.splitlines() if line.startswith("energy  "))
    assert ["energy", "10 kJ", "8 kJ to 13 kJ", "8 kJ", "+25%", "within"] == [
        cell.strip() for cell in energy.split("  ") if cell.strip()
    ]
    assert "epochs: 10 measured of 10 planned" in text
    assert "energy counters; the record is complete" in text
    assert "predicted by: prior 1 (prior)" in text
    assert "gCO2e" not in text


def test_run_without_ticket_says_so() -> None:
    """A job that was not advised is still reported."""
    text = report_text(replace(RUN, predicted=None, model=None, workload=Workload()), Course(), Rates())

    assert "no prediction" in text
    assert "unnamed model" in text


def test_carbon_and_cost_follow_the_sites_rates() -> None:
    """One kWh measured at PUE 1.5, 400 g/kWh and 0.2 per kWh is 600 g and 0.3."""
    run = replace(RUN, energy_j=3.6e6)
    found = report_object(run, Course(), Rates(carbon_intensity_g_per_kwh=400.0, price_per_kwh=0.2, pue=1.5))

    assert pytest.approx(600.0) == found["carbon_g"]
    assert pytest.approx(0.3) == found["cost"]


def test_gpu_hours_cost_without_energy_price() -> None:
    """A site that charges GPU hours only gets a cost from the measured duration."""
    run = replace(RUN, duration_s=7200.0, gpus=2)

    assert pytest.approx(8.0) == report_object(run, Course(), Rates(price_per_gpu_hour=2.0))["cost"]


def projection(method: str, energy_j: float, stable_from: int | None = 2) -> Projection:
    """A projection after the fifth of ten epochs."""
    return Projection(
        time_s=1.7e9, method=method, energy_j=energy_j, energy_low_j=8500.0, energy_high_j=9500.0, duration_s=49.0,
        epochs_done=5, epochs_in_all=10, stable_from=stable_from,
    )  # fmt: skip


def test_projections_are_shown_while_running() -> None:
    """The one to go by with its interval and what it rests on, then the paper's two."""
    run = replace(RUN, state="RUNNING")
    three = (projection("power", 8800.0), projection("epoch_energy", 8900.0), projection("stable", 9000.0))
    text = report_text(run, Course(projections=three), Rates())
    found = report_object(run, Course(projections=three), Rates())

    assert "projected after epoch 5 of 10: 9 kJ (8.5 kJ to 9.5 kJ), 49 s in all; stable since epoch 3" in text
    assert "the paper's estimators: by mean power 8.8 kJ, by epoch energy 8.9 kJ" in text
    assert 9000.0 == found["projection"]["energy_j"]
    assert ["power", "epoch_energy", "stable"] == [item["method"] for item in found["projections"]]


def test_an_early_projection_says_so() -> None:
    """Before epochs are stable a number is a guess, however many digits it has."""
    course = Course(projections=(projection("early", 9000.0, stable_from=None),))

    assert "49 s in all; early: no stable epochs yet" in report_text(RUN, course, Rates())


def test_an_epoch_s_rates_are_of_the_median_epoch() -> None:
    """The first epoch builds graphs; J per sample is what compares with other runs."""
    epochs = tuple(
        RunEpoch(phase=0, index=index, started_at=0.0, duration_s=duration_s, gpu_energy_j=100.0 * duration_s,
                 steps=50, samples=1600)
        for index, duration_s in enumerate((20.0, 4.0, 4.0))
    )  # fmt: skip
    found = report_object(RUN, Course(epochs=epochs), Rates())["per_epoch"]

    assert "an epoch, in the median: 50 steps, 1,600 samples, 400 samples/s, 0.25 J per sample" in report_text(
        RUN, Course(epochs=epochs), Rates()
    )
    assert [(80.0, 1.25), (400.0, 0.25)] == [(e["samples_per_s"], e["joules_per_sample"]) for e in found[:2]]


def test_time_outside_the_epochs_is_named() -> None:
    """A run of ten seconds that spent eight on imports is no error of the predicted epochs."""
    epochs = tuple(
        RunEpoch(phase=0, index=i, started_at=0.0, duration_s=4.0, gpu_energy_j=1.0, steps=None, samples=None)
        for i in range(10)
    )

    assert "epochs: 10 measured of 10 planned; 10 s outside them" in report_text(RUN, Course(epochs=epochs), Rates())


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("keras", "told by keras"),
        ("none: a loop of the script's own", "the training was not told: a loop of the script's own"),
        (None, "the training was not told"),
    ],
)
def test_why_a_training_was_stopped_is_shown(by: str | None, told: str) -> None:
    """A run that ended early must not look like one that failed."""
    stop = Stop(time_s=0.0, phase=0, index=11, rule="energy_budget", reason="3 J are spent, the budget is 2 J", by=by)
    text = report_text(RUN, Course(stop=stop), Rates())

    assert f"to be stopped after epoch 12 ({told}): 3 J are spent, the budget is 2 J" in text
    assert report_object(RUN, Course(stop=stop), Rates())["stop"]["by"] == by


def test_json_is_one_object_with_si_values() -> None:
    """Programs get the same comparisons, estimates with value, low and high."""
    found = json.loads(json.dumps(report_object(RUN, Course(), Rates())))

    assert {"value": 10_000.0, "low": 8000.0, "high": 13_000.0} == found["comparisons"]["energy_j"]["predicted"]
    assert ("5_1", "13", "nvml_counter") == (found["job_id"], found["raw_job_id"], found["energy_source"])
    assert {"planned": 10, "measured": 10} == found["epochs"]


def test_plain_job_shows_its_raw_id() -> None:
    """Outside arrays the raw id is the job's id."""
    assert "13" == shown_job_id(replace(RUN, array_job_id=None, array_task=None))


def test_user_texts_cannot_steer_the_terminal() -> None:
    """A model named with escape sequences is shown without them."""
    run = replace(RUN, workload=Workload(model_name=Fact("\x1b[2Jnet", Source.PROBE)))

    assert "\x1b" not in report_text(run, Course(), Rates())
    assert "a?b" == printable("a\x07b")


def test_the_method_that_was_right_is_named() -> None:
    """What every method had said is held against the measured energy; the nearest comes first."""
    said = (
        MethodEstimate(method="MLCO2", mean_power_w=None, epoch_energy_j=2000.0, energy_j=16_000.0),
        MethodEstimate(method="offline, power (SVM)", mean_power_w=150.0, epoch_energy_j=800.0, energy_j=8_200.0),
    )
    run = replace(RUN, predicted=replace(PREDICTION, methods=said))

    text = report_text(run, Course(), Rates())
    found = report_object(run, Course(), Rates())["methods"]

    assert "nearest to the measured energy: offline, power (SVM), +2%; others: prior +25%, MLCO2 +100%" in text
    assert ["prior", "MLCO2", "offline, power (SVM)"] == [item["method"] for item in found]
    assert pytest.approx(1.0) == found[1]["error"]


def test_a_run_that_did_not_end_is_judged_by_its_epochs() -> None:
    """Energies of the whole run cannot be held against half of one."""
    said = (MethodEstimate(method="MLCO2", mean_power_w=None, epoch_energy_j=1560.0, energy_j=16_000.0),)
    run = replace(RUN, state="TIMEOUT", predicted=replace(PREDICTION, methods=said))

    _, mlco2 = method_comparisons(run)

    assert 1560.0 == mlco2.said_j
    assert pytest.approx(1.0) == mlco2.error
    assert () == method_comparisons(replace(RUN, predicted=None))
