"""AMD GPUs through ``amdsmi``, AMD's own Python package, where the site has it in advisor's environment.

Written against the documentation of ROCm 6 and 7 (rocm.docs.amd.com, "AMD SMI Python API reference") and tried with a
stand-in only: no AMD card was at hand.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from advisor.telemetry.gpu_choice import choose_gpus
from advisor.telemetry.trace import GpuSample, TracedGpu

_MICRO = 1e-6
# Which GPUs a process may use: ROCR's numbers are the driver's; HIP counts among those that ROCR leaves.
_VISIBLE = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")


class AmdGpus:
    """The job's own AMD GPUs. What a card does not know is None; on a virtual machine that is power and energy."""

    sensor = "amdsmi"

    def __init__(self, environment: Mapping[str, str], amdsmi: Any = None) -> None:
        self.gpus: tuple[TracedGpu, ...] = ()
        self.note: str | None = None
        self._handles: list[Any] = []
        if amdsmi is None:
            try:
                amdsmi = importlib.import_module("amdsmi")
            except (ImportError, OSError, KeyError) as exc:  # not installed, or without its C library
                self.note = f"no amdsmi here: {exc}"
                return
        self._amdsmi = amdsmi
        try:
            amdsmi.amdsmi_init()
            self._open(environment)
        except amdsmi.AmdSmiException as exc:
            self.gpus, self._handles = (), []
            self.note = f"no AMD GPU can be read: {exc}"

    def read(self) -> tuple[GpuSample, ...]:
        """One reading of every GPU."""
        return tuple(self._read(handle) for handle in self._handles)

    def _open(self, environment: Mapping[str, str]) -> None:
        handles = list(self._amdsmi.amdsmi_get_processor_handles())
        uuids = [str(self._known(self._amdsmi.amdsmi_get_gpu_device_uuid, handle)) for handle in handles]
        names = [self._name(handle) for handle in handles]
        choice = choose_gpus(_as_cuda(environment), uuids, names)
        self._handles = [handles[index] for index in choice.indices]
        self.gpus = tuple(self._describe(handles[index], uuids[index], names[index]) for index in choice.indices)
        self.note = choice.note if self.gpus else choice.note or "amdsmi lists no GPU"

    def _describe(self, handle: Any, uuid: str, name: str) -> TracedGpu:
        vram = self._amdsmi.AmdSmiMemoryType.VRAM
        return TracedGpu(
            uuid=uuid,
            name=name,
            has_energy_counter=self._energy_j(handle) is not None,
            memory_bytes=_whole(self._known(self._amdsmi.amdsmi_get_gpu_memory_total, handle, vram)),
            power_limit_w=_number(self._field(self._amdsmi.amdsmi_get_power_info, handle, "power_limit")),
        )

    def _read(self, handle: Any) -> GpuSample:
        smi = self._amdsmi
        busy = _number(self._field(smi.amdsmi_get_gpu_activity, handle, "gfx_activity"))
        where, when = smi.AmdSmiTemperatureType.HOTSPOT, smi.AmdSmiTemperatureMetric.CURRENT
        clock = self._known(smi.amdsmi_get_clock_info, handle, smi.AmdSmiClkType.GFX)
        return GpuSample(
            power_w=self._power_w(handle),
            energy_counter_j=self._energy_j(handle),
            utilisation=None if busy is None else busy / 100,
            memory_used_bytes=_whole(self._known(smi.amdsmi_get_gpu_memory_usage, handle, smi.AmdSmiMemoryType.VRAM)),
            temperature_c=_number(self._known(smi.amdsmi_get_temp_metric, handle, where, when)),
            sm_clock_mhz=_whole(clock.get("clk") if isinstance(clock, dict) else None),
        )

    def _power_w(self, handle: Any) -> float | None:
        """Newer cards report the current power, older ones an average; the other one is 0 or N/A there."""
        info = self._known(self._amdsmi.amdsmi_get_power_info, handle) or {}
        readings = [_number(info.get(name)) for name in ("current_socket_power", "average_socket_power")]
        return next((reading for reading in readings if reading), None)

    def _energy_j(self, handle: Any) -> float | None:
        """The accumulator counts in steps of ``counter_resolution`` microjoules; before ROCm 6.4 it was ``power``."""
        count = self._known(self._amdsmi.amdsmi_get_energy_count, handle) or {}
        steps = _number(count.get("energy_accumulator", count.get("power")))
        resolution = _number(count.get("counter_resolution"))
        return steps * resolution * _MICRO if steps and resolution else None

    def _name(self, handle: Any) -> str:
        return str(self._field(self._amdsmi.amdsmi_get_gpu_asic_info, handle, "market_name") or "AMD GPU")

    def _field(self, ask: Callable[..., Any], handle: Any, name: str) -> Any:
        return (self._known(ask, handle) or {}).get(name)

    def _known(self, ask: Callable[..., Any], handle: Any, *more: Any) -> Any:
        try:
            return ask(handle, *more)
        except self._amdsmi.AmdSmiException:  # not supported by this card, or lost: the other readings go on
            return None


def _as_cuda(environment: Mapping[str, str]) -> dict[str, str]:
    """AMD's variables in the place of NVIDIA's, of which the same rules hold."""
    found = {name: value for name, value in environment.items() if name not in _VISIBLE}
    named = [environment[name] for name in _VISIBLE if name in environment]
    return found | ({"CUDA_VISIBLE_DEVICES": named[0]} if named else {})


def _number(value: object) -> float | None:
    """None for ``N/A``, which amdsmi gives for what it does not know."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
