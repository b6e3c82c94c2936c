"""NVML at its edge: cards, slices and virtual GPUs that know less than others. The library is a stand-in that runs."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from advisor.telemetry.energy import EnergyMeter
from advisor.telemetry.gpu import NvmlGpus
from advisor.telemetry.trace import GpuSample, HostSample, Sample

GIB = 1024**3


class NvmlError(Exception):
    """As pynvml's: the card does not know, or is gone."""


@dataclass
class Device:
    """A card, a slice of one, or a virtual GPU: what is None is not supported there."""

    uuid: str
    power_mw: int | None = 250_000
    energy_mj: int | None = 1_000_000
    utilisation: int | None = 80
    mig_mode: int | None = 0
    memory_used: int | None = 2 * GIB


class Nvml:
    """The calls of pynvml that the sensor makes, over devices of the test's own."""

    NVMLError = NvmlError
    NVML_TEMPERATURE_GPU = NVML_CLOCK_SM = 0
    NVML_DEVICE_MIG_ENABLE = 1

    def __init__(self, cards: list[Device], slices: tuple[Device, ...] = (), *, has_driver: bool = True) -> None:
        self._cards = cards
        self._slices = {device.uuid: device for device in slices}
        self._has_driver = has_driver

    def nvmlInit(self) -> None:  # noqa: N802 (NVML's name, as below)
        """Fail where there is no driver."""
        if not self._has_driver:
            raise NvmlError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802, D102
        return len(self._cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Device:  # noqa: N802, D102
        return self._cards[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Device:  # noqa: N802, D102
        return self._slices[uuid]

    def __getattr__(self, name: str) -> object:
        """Readings of one device."""
        readings = {
            "nvmlDeviceGetUUID": lambda device: device.uuid,
            "nvmlDeviceGetName": lambda _device: "NVIDIA H100 80GB HBM3",
            "nvmlDeviceGetMinorNumber": self._cards.index,
            "nvmlDeviceGetMigMode": lambda device: known([device.mig_mode, device.mig_mode], device.mig_mode),
            "nvmlDeviceGetPowerUsage": lambda device: known(device.power_mw),
            "nvmlDeviceGetEnforcedPowerLimit": lambda device: known(700_000, device.power_mw),
            "nvmlDeviceGetTotalEnergyConsumption": lambda device: known(device.energy_mj),
            "nvmlDeviceGetUtilizationRates": lambda device: SimpleNamespace(gpu=known(device.utilisation)),
            "nvmlDeviceGetMemoryInfo": lambda device: SimpleNamespace(total=80 * GIB, used=known(device.memory_used)),
            "nvmlDeviceGetTemperature": lambda device, _sensor: known(60, device.power_mw),
            "nvmlDeviceGetClockInfo": lambda device, _clock: known(1980, device.power_mw),
            "nvmlDeviceGetCurrentClocksThrottleReasons": lambda device: known(0, device.power_mw),
        }
        return readings[name]


def known(value: object, condition: object = True) -> object:
    """The value, or NVML's error where it is not supported."""
    if value is None or condition is None:
        raise NvmlError("Not Supported")
    return value


def counted(sensor: NvmlGpus, device: Device, seconds: int = 10) -> tuple[float | None, str]:
    """The energy that counts after some seconds in which the device's counter, if it has one, goes on."""
    meter = EnergyMeter()
    for second in range(seconds + 1):
        meter.add(Sample(time_s=float(second), gpus=sensor.read(), host=HostSample()))
        if device.energy_mj is not None:
            device.energy_mj += 250_000
    return meter.counted()


def test_whole_card_gives_all_in_si_units() -> None:
    """W, J, 0..1, bytes, whatever NVML counts in."""
    sensor = NvmlGpus({"CUDA_VISIBLE_DEVICES": "1"}, Nvml([Device("GPU-a"), Device("GPU-b")]))

    assert ["GPU-b"] == [gpu.uuid for gpu in sensor.gpus]
    assert (True, 80 * GIB, 700.0) == (
        sensor.gpus[0].has_energy_counter, sensor.gpus[0].memory_bytes, sensor.gpus[0].power_limit_w
    )  # fmt: skip
    assert (
        GpuSample(
            power_w=250.0, energy_counter_j=1000.0, utilisation=0.8, memory_used_bytes=2 * GIB, temperature_c=60.0,
            sm_clock_mhz=1980, throttle_reasons=0,
        ),
    ) == sensor.read()  # fmt: skip


def test_virtual_gpu_without_counter_is_integrated() -> None:
    """The guest's driver knows power and no energy."""
    device = Device("GPU-v", energy_mj=None, mig_mode=None)
    sensor = NvmlGpus({"CUDA_VISIBLE_DEVICES": "0"}, Nvml([device]))
    energy_j, source = counted(sensor, device)

    assert not sensor.gpus[0].has_energy_counter
    assert pytest.approx(2500.0) == energy_j
    assert source.endswith("integral")


def test_virtual_gpu_without_power_has_no_energy() -> None:
    """Nothing is made up for it; its memory is still known."""
    device = Device("GPU-v", power_mw=None, energy_mj=None, utilisation=None)
    sensor = NvmlGpus({"CUDA_VISIBLE_DEVICES": "0"}, Nvml([device]))

    assert (None, "none") == counted(sensor, device)
    assert 2 * GIB == sensor.read()[0].memory_used_bytes


def test_slice_has_its_own_memory_and_no_power() -> None:
    """NVML knows the power of the parent card alone, which neighbours share."""
    part = Device("MIG-1234", power_mw=None, energy_mj=None, utilisation=None, memory_used=GIB)
    sensor = NvmlGpus({"CUDA_VISIBLE_DEVICES": "MIG-1234"}, Nvml([Device("GPU-a", mig_mode=1)], (part,)))

    assert ["MIG-1234"] == [gpu.uuid for gpu in sensor.gpus]
    assert (None, GIB) == (sensor.read()[0].power_w, sensor.read()[0].memory_used_bytes)
    assert (None, "none") == counted(sensor, part)
    assert "not their power" in str(sensor.note)


def test_split_card_is_not_charged_whole() -> None:
    """An index on a card that is split by MIG means one of its slices."""
    sensor = NvmlGpus({"CUDA_VISIBLE_DEVICES": "0"}, Nvml([Device("GPU-a", mig_mode=1)]))

    assert () == sensor.gpus
    assert "MIG" in str(sensor.note)


def test_no_driver_is_said() -> None:
    """A node without NVIDIA's driver has no GPU readings, and the trace says why."""
    sensor = NvmlGpus({}, Nvml([], has_driver=False))

    assert ((), ()) == (sensor.gpus, sensor.read())
    assert "Driver Not Loaded" in str(sensor.note)
