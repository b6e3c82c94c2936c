"""GPU readings at the sensor's edge: NVML, or recorded readings in its place. Past here all values are SI."""

from __future__ import annotations

import bisect
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from advisor.errors import TelemetryError
from advisor.telemetry.gpu_amd import AmdGpus
from advisor.telemetry.gpu_cgroup import allowed_minors
from advisor.telemetry.gpu_choice import choose_gpus
from advisor.telemetry.lines import gpu_sample_of
from advisor.telemetry.trace import GpuSample, TracedGpu

T = TypeVar("T")


class GpuSensor(Protocol):
    """What the sampler needs of a sensor; ``note`` says why ``gpus`` is empty or what to mind."""

    @property
    def sensor(self) -> str: ...  # noqa: D102

    @property
    def gpus(self) -> tuple[TracedGpu, ...]: ...  # noqa: D102

    @property
    def note(self) -> str | None: ...  # noqa: D102

    def read(self) -> tuple[GpuSample, ...]: ...  # noqa: D102


class NvmlGpus:
    """The job's own GPUs through pynvml, or what stands in for it. What a card does not know is None."""

    sensor = "nvml"

    def __init__(self, environment: Mapping[str, str], nvml: Any = None) -> None:
        self.gpus: tuple[TracedGpu, ...] = ()
        self.note: str | None = None
        self._handles: list[Any] = []
        if nvml is None:
            import pynvml  # noqa: PLC0415 (replayed readings do without, and starting must be cheap)

            nvml = pynvml
        self._nvml = nvml
        try:
            nvml.nvmlInit()
            self._open(environment)
        except nvml.NVMLError as exc:
            self.gpus, self._handles = (), []
            self.note = f"no NVML here: {exc}"

    def read(self) -> tuple[GpuSample, ...]:
        """One reading of every GPU; NVML counts mW, mJ and percent."""
        return tuple(self._read(handle) for handle in self._handles)

    def _open(self, environment: Mapping[str, str]) -> None:
        nvml = self._nvml
        count = nvml.nvmlDeviceGetCount()
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        uuids = [str(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        names = [str(nvml.nvmlDeviceGetName(handle)) for handle in handles]
        choice = choose_gpus(environment, uuids, names, lambda: self._in_cgroup(handles))
        if any(self._is_split(handles[index]) for index in choice.indices):
            self.note = "a card is split by MIG and no slice is named: its power is not the job's alone"
            return
        self._handles = [handles[index] for index in choice.indices]
        self._handles += [nvml.nvmlDeviceGetHandleByUUID(uuid) for uuid in choice.mig_uuids]
        self.gpus = tuple(self._describe(handle) for handle in self._handles)
        self.note = choice.note if self.gpus else choice.note or "NVML lists no GPU"

    def _in_cgroup(self, handles: list[Any]) -> list[int] | None:
        """Positions of the GPUs that a device cgroup leaves to this process."""
        allowed = allowed_minors()
        if allowed is None:
            return None
        minors = [self._known(self._nvml.nvmlDeviceGetMinorNumber, handle) for handle in handles]
        return [index for index, minor in enumerate(minors) if minor in allowed]

    def _is_split(self, handle: Any) -> bool:
        mode = self._known(self._nvml.nvmlDeviceGetMigMode, handle)
        return mode is not None and mode[0] == self._nvml.NVML_DEVICE_MIG_ENABLE

    def _describe(self, handle: Any) -> TracedGpu:
        nvml = self._nvml
        memory = self._known(nvml.nvmlDeviceGetMemoryInfo, handle)
        limit_mw = self._known(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        return TracedGpu(
            uuid=str(nvml.nvmlDeviceGetUUID(handle)),
            name=str(nvml.nvmlDeviceGetName(handle)),
            has_energy_counter=self._known(nvml.nvmlDeviceGetTotalEnergyConsumption, handle) is not None,
            memory_bytes=None if memory is None else int(memory.total),
            power_limit_w=None if limit_mw is None else limit_mw / 1000,
        )

    def _read(self, handle: Any) -> GpuSample:
        nvml = self._nvml
        power_mw = self._known(nvml.nvmlDeviceGetPowerUsage, handle)
        counter_mj = self._known(nvml.nvmlDeviceGetTotalEnergyConsumption, handle)
        rates = self._known(nvml.nvmlDeviceGetUtilizationRates, handle)
        memory = self._known(nvml.nvmlDeviceGetMemoryInfo, handle)
        celsius = self._known(lambda gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU), handle)
        clock_mhz = self._known(lambda gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM), handle)
        throttled = self._known(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
        return GpuSample(
            power_w=None if power_mw is None else power_mw / 1000,
            energy_counter_j=None if counter_mj is None else counter_mj / 1000,
            utilisation=None if rates is None else rates.gpu / 100,
            memory_used_bytes=None if memory is None else int(memory.used),
            temperature_c=None if celsius is None else float(celsius),
            sm_clock_mhz=None if clock_mhz is None else int(clock_mhz),
            throttle_reasons=None if throttled is None else int(throttled),
        )

    def _known(self, ask: Callable[[Any], T], handle: Any) -> T | None:
        try:
            return ask(handle)
        except self._nvml.NVMLError:  # not supported by this card, or lost: the other readings go on
            return None


def own_gpus(environment: Mapping[str, str]) -> GpuSensor:
    """The job's GPUs, NVIDIA's first; AMD's library is asked only where NVML knows none of the job's."""
    nvidia = NvmlGpus(environment)
    if nvidia.gpus:
        return nvidia
    amd = AmdGpus(environment)
    return amd if amd.gpus else nvidia


class ReplayedGpus:
    """Recorded readings in place of NVML, for machines without a GPU.

    The file is JSON Lines: first ``{"gpus": [{uuid, name, has_energy_counter, memory_bytes, power_limit_w}, ...]}``,
    then ``{"time_s": seconds from the first reading, "gpus": [[power_w, energy_counter_j, utilisation,
    memory_used_bytes, temperature_c, sm_clock_mhz, throttle_reasons], ...]}``. A reading holds until the next one's
    time; after the last, the last.

    Raises:
        TelemetryError: the file cannot be read or is of another form.
    """

    sensor = "replay"

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        try:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            self.gpus = tuple(TracedGpu(**gpu) for gpu in lines[0]["gpus"])
            self._times = [float(line["time_s"]) for line in lines[1:]]
            self._readings = [tuple(gpu_sample_of(gpu) for gpu in line["gpus"]) for line in lines[1:]]
        except (OSError, ValueError, TypeError, KeyError, IndexError, TelemetryError) as exc:
            raise TelemetryError(f"{path} holds no GPU readings: {exc}") from exc
        if not self._readings or any(len(gpus) != len(self.gpus) for gpus in self._readings):
            raise TelemetryError(f"{path} holds no readings, or not one for each GPU")
        self.note: str | None = f"replayed readings of {path.name}"
        self._clock = clock
        self._begun: float | None = None

    def read(self) -> tuple[GpuSample, ...]:
        """The recorded reading of this instant."""
        now = self._clock()
        if self._begun is None:
            self._begun = now
        past = bisect.bisect_right(self._times, now - self._begun)
        return self._readings[max(past - 1, 0)]
