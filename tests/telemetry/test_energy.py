"""Energy arithmetic, on readings whose integral is known."""

from __future__ import annotations

import pytest

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
