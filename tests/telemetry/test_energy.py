"""Energy arithmetic, on readings whose integral is known."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.telemetry.energy import EnergyMeter, spent_between
from advisor.telemetry.trace import GpuSample, HostSample, Sample


def sample(time_s: float, *gpus: GpuSample) -> Sample:
    """A sample of these GPUs."""
    return Sample(time_s=time_s, gpus=gpus, host=HostSample())


def test_integral_is_the_trapezoid_of_all_gpus() -> None:
    """Two GPUs that ramp from 0 to 100 W in 10 s have used 1,000 J."""
    meter = EnergyMeter()
    meter.add(sample(0.0, GpuSample(power_w=0.0), GpuSample(power_w=0.0)))
    meter.add(sample(10.0, GpuSample(power_w=100.0), GpuSample(power_w=100.0)))

    assert (1000.0, "nvml_integral") == meter.counted()


def test_counter_counts_where_every_card_has_one() -> None:
    """The counter misses nothing between samples; the integral is kept beside it."""
    meter = EnergyMeter()
    meter.add(sample(0.0, GpuSample(power_w=50.0, energy_counter_j=5000.0)))
    meter.add(sample(1.0, GpuSample(power_w=50.0, energy_counter_j=5300.0)))

    assert (300.0, "nvml_counter") == meter.counted()
    assert meter.totals is not None
    assert 50.0 == meter.totals.integral_j


def test_one_card_without_counter_makes_the_integral_count() -> None:
    """A sum that leaves a card out would be a wrong figure."""
    meter = EnergyMeter()
    for time_s in (0.0, 1.0):
        meter.add(sample(time_s, GpuSample(power_w=10.0, energy_counter_j=7.0 + time_s), GpuSample(power_w=10.0)))

    assert (20.0, "nvml_integral") == meter.counted()


def test_counter_that_runs_backwards_is_not_believed() -> None:
    """After a driver reset the counter begins anew; the integral goes on."""
    meter = EnergyMeter()
    for time_s, counter_j in ((0.0, 900.0), (1.0, 1000.0), (2.0, 5.0), (3.0, 2000.0)):
        meter.add(sample(time_s, GpuSample(power_w=100.0, energy_counter_j=counter_j)))

    assert (300.0, "nvml_integral") == meter.counted()


def test_missed_reading_is_bridged() -> None:
    """One failed power reading costs no energy."""
    meter = EnergyMeter()
    for time_s, power_w in ((0.0, 100.0), (1.0, None), (2.0, 100.0)):
        meter.add(sample(time_s, GpuSample(power_w=power_w)))

    assert (200.0, "nvml_integral") == meter.counted()


def test_energy_at_a_mark_is_interpolated() -> None:
    """An epoch that ends between two samples gets its share of the second between them."""
    meter = EnergyMeter()
    meter.add(sample(0.0, GpuSample(power_w=100.0)))
    meter.add(sample(1.0, GpuSample(power_w=100.0)))

    assert pytest.approx(25.0) == spent_between(meter.at(0.25), meter.at(0.5)).energy_j


def test_no_gpu_is_no_energy() -> None:
    """Nothing measured is None, never zero."""
    meter = EnergyMeter()
    meter.add(sample(0.0))
    meter.add(sample(1.0))

    assert (None, "none") == meter.counted()


def test_a_counter_that_could_not_be_read_once_is_believed_again() -> None:
    """One failed reading must not turn an exact energy into an estimate."""
    meter = EnergyMeter()
    for time_s, counter_j in ((0.0, 100.0), (1.0, None), (2.0, 500.0)):
        meter.add(sample(time_s, GpuSample(power_w=100.0, energy_counter_j=counter_j)))

    assert (400.0, "nvml_counter") == meter.counted()


powers = st.floats(0.0, 1000.0)
gaps = st.floats(0.001, 600.0)


@given(
    seconds=st.lists(st.tuples(gaps, powers, st.booleans()), min_size=1, max_size=40),
    first=st.floats(0.0, 1e9),
)
def test_the_counter_is_exact_whatever_the_gaps_and_missed_readings(
    seconds: list[tuple[float, float, bool]], first: float
) -> None:
    """A sampler that was stopped for minutes, and readings that failed, cost a counted run nothing."""
    meter = EnergyMeter()
    time_s = true_j = 0.0
    meter.add(sample(0.0, GpuSample(power_w=0.0, energy_counter_j=first)))
    for number, (gap_s, power_w, is_missed) in enumerate(seconds, 1):
        time_s, true_j = time_s + gap_s, true_j + gap_s * power_w
        counter_j = None if is_missed and number < len(seconds) else first + true_j
        meter.add(sample(time_s, GpuSample(power_w=power_w, energy_counter_j=counter_j)))

    energy_j, source = meter.counted()
    assert "nvml_counter" == source
    assert pytest.approx(true_j, abs=1e-5) == energy_j


@given(
    readings=st.lists(st.tuples(st.floats(0.0, 4e9), powers | st.none(), st.floats(0.0, 1e12) | st.none()), max_size=40)
)
def test_energy_never_falls_whatever_clocks_and_counters_do(
    readings: list[tuple[float, float | None, float | None]],
) -> None:
    """Clocks that jump, counters that wrap or begin anew, readings that fail: neither total ever runs backwards."""
    meter = EnergyMeter()
    seen: list[tuple[float | None, float | None]] = []
    for time_s, power_w, counter_j in readings:
        meter.add(sample(time_s, GpuSample(power_w=power_w, energy_counter_j=counter_j)))
        assert meter.totals is not None
        seen.append((meter.totals.counter_j, meter.totals.integral_j))

    for totals in zip(*seen, strict=True):
        known = [total for total in totals if total is not None]
        assert known == sorted(known)


@given(st.lists(st.tuples(gaps, powers, st.floats(0.0, 1.0)), min_size=2, max_size=30))
def test_epochs_sum_to_the_run(seconds: list[tuple[float, float, float]]) -> None:
    """Wherever the marks fall between two samples, no joule is counted twice or lost between epochs."""
    meter = EnergyMeter()
    time_s = counter_j = 0.0
    meter.add(sample(0.0, GpuSample(power_w=0.0, energy_counter_j=0.0)))
    marks = [meter.at(0.0)]
    for gap_s, power_w, share in seconds:
        counter_j += gap_s * power_w
        meter.add(sample(time_s + gap_s, GpuSample(power_w=power_w, energy_counter_j=counter_j)))
        marks.append(meter.at(time_s + share * gap_s))
        time_s += gap_s
    marks.append(meter.totals)
    epochs = [spent_between(begin, end) for begin, end in itertools.pairwise(marks)]

    assert meter.totals is not None
    assert pytest.approx(meter.totals.counter_j, abs=1e-6) == sum(epoch.counter_j or 0.0 for epoch in epochs)
    assert pytest.approx(meter.totals.integral_j, abs=1e-6) == sum(epoch.integral_j or 0.0 for epoch in epochs)
    assert all((epoch.energy_j or 0.0) >= 0.0 for epoch in epochs)
