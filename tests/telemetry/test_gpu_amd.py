"""AMD's library at its edge, by a stand-in with the shapes that its documentation gives."""

from __future__ import annotations

from dataclasses import astuple
from types import SimpleNamespace

import pytest

from advisor.telemetry.gpu_amd import AmdGpus
from advisor.telemetry.trace import GpuSample

MI300 = {
    "name": "AMD Instinct MI300X", "uuid": "a0ff-74a1-0000-1000-80ed-7f2d3a6d4a5b",
    "power": {"current_socket_power": 412, "average_socket_power": "N/A", "power_limit": 750},
    "energy": {"energy_accumulator": 2_000_000, "counter_resolution": 15.3, "timestamp": 1},
    "activity": {"gfx_activity": 93, "umc_activity": 5, "mm_activity": "N/A"}, "vram": 3 * 1024**3, "hotspot": 61,
    "clock": {"clk": 2100, "max_clk": 2100},
}  # fmt: skip
MI210 = MI300 | {
    "name": "AMD Instinct MI210", "uuid": "5bff-740f-0000-1000-8058-0c7b5f2f9f0e",
    "power": {"current_socket_power": "N/A", "average_socket_power": 180, "power_limit": 300},
    "energy": {"power": 1_000_000, "counter_resolution": 15.3, "timestamp": 1},
}  # fmt: skip
VIRTUAL = MI300 | {"power": None, "energy": None, "clock": None}


class AmdSmiError(Exception):
    """As amdsmi's: not supported."""


class Amdsmi:
    """The calls of amdsmi that the sensor makes; a card is a dictionary of what it knows."""

    AmdSmiException = AmdSmiError
    AmdSmiMemoryType = SimpleNamespace(VRAM=0)
    AmdSmiTemperatureType = SimpleNamespace(HOTSPOT=1)
    AmdSmiTemperatureMetric = SimpleNamespace(CURRENT=0)
    AmdSmiClkType = SimpleNamespace(GFX=0)

    def __init__(self, *cards: dict[str, object]) -> None:
        self._cards = list(cards)

    def amdsmi_init(self) -> None:
        """Fail where there is no driver."""
        if not self._cards:
            raise AmdSmiError("driver not loaded")

    def amdsmi_get_processor_handles(self) -> list[dict[str, object]]:  # noqa: D102
        return self._cards

    def __getattr__(self, name: str) -> object:
        """Readings of one card."""
        fields = {
            "amdsmi_get_gpu_device_uuid": "uuid", "amdsmi_get_power_info": "power",
            "amdsmi_get_energy_count": "energy", "amdsmi_get_gpu_activity": "activity",
            "amdsmi_get_gpu_memory_usage": "vram", "amdsmi_get_temp_metric": "hotspot",
            "amdsmi_get_clock_info": "clock",
        }  # fmt: skip
        if name == "amdsmi_get_gpu_memory_total":
            return lambda _card, _kind: 192 * 1024**3
        if name == "amdsmi_get_gpu_asic_info":
            return lambda card: {"market_name": card["name"]}
        return lambda card, *_more: known(card[fields[name]])


def known(value: object) -> object:
    """The value, or amdsmi's error where it is not supported."""
    if value is None:
        raise AmdSmiError("not supported")
    return value


def test_readings_are_in_si_units() -> None:
    """The accumulator's steps of 15.3 uJ become J, percent become 0..1."""
    sensor = AmdGpus({"ROCR_VISIBLE_DEVICES": "1", "SLURM_JOB_ID": "1"}, Amdsmi(MI210, MI300 | {"name": MI210["name"]}))

    assert [(MI300["uuid"], 750.0, True)] == [
        (gpu.uuid, gpu.power_limit_w, gpu.has_energy_counter) for gpu in sensor.gpus
    ]
    expected = GpuSample(
        power_w=412.0, energy_counter_j=30.6, utilisation=0.93, memory_used_bytes=3 * 1024**3, temperature_c=61.0,
        sm_clock_mhz=2100,
    )  # fmt: skip
    assert astuple(expected) == pytest.approx(astuple(sensor.read()[0]))


def test_older_card_reports_an_average_and_another_name() -> None:
    """Before MI300 power is an average, before ROCm 6.4 the accumulator is called power."""
    (reading,) = AmdGpus({"SLURM_JOB_GPUS": "0", "SLURM_JOB_ID": "1"}, Amdsmi(MI210)).read()

    assert [180.0, 15.3] == pytest.approx([reading.power_w, reading.energy_counter_j])


def test_virtual_machine_has_neither_power_nor_energy() -> None:
    """The rest is read, and nothing is made up."""
    sensor = AmdGpus({"HIP_VISIBLE_DEVICES": "0"}, Amdsmi(VIRTUAL))
    (reading,) = sensor.read()

    assert (None, None, None, 0.93) == (
        reading.power_w, reading.energy_counter_j, reading.sm_clock_mhz, reading.utilisation
    )  # fmt: skip
    assert not sensor.gpus[0].has_energy_counter


@pytest.mark.parametrize("visible", ["GPU-3a6d4a5b", "7", ""])
def test_what_cannot_be_told_is_none_at_all(visible: str) -> None:
    """ROCR's UUIDs are not amdsmi's: a neighbour's card is never charged to the job."""
    sensor = AmdGpus({"ROCR_VISIBLE_DEVICES": visible, "SLURM_JOB_ID": "1"}, Amdsmi(MI300, MI300))

    assert () == sensor.gpus
    assert sensor.note


def test_missing_library_or_driver_is_said() -> None:
    """Neither costs the record of the host."""
    without_driver = AmdGpus({}, Amdsmi())
    without_library = AmdGpus({})

    assert ((), ()) == (without_driver.read(), without_library.read())
    assert "driver not loaded" in str(without_driver.note)
    assert "no amdsmi here" in str(without_library.note)
