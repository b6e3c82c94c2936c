"""Reading a trace back, however it ended, and what it says of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from advisor.errors import TelemetryError
from advisor.inspection.workload import Workload
from advisor.telemetry.energy import EnergyMeter, Reading, spent_between
from advisor.telemetry.lines import record_of
from advisor.telemetry.trace import Epoch, JobWorkload, Projection, Sample, Stop, Trace, TraceFooter, TraceHeader

# A recorder leaves one, where it was killed; a failing disk some. A file of nothing else would be read for hours.
MAX_DAMAGED_LINES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What one trace measured. Energy and power are sums over the node's GPUs, None where no GPU was read.

    ``energy_source`` is ``nvml_counter``, ``nvml_integral``, the same of ``amdsmi``, ``replay`` or ``none``.
    ``gpu_utilisation`` is the mean over GPUs and
    time in 0..1, ``gpu_memory_bytes`` the peak of any one GPU, ``host_memory_bytes`` the peak of the job's processes.
    ``host_energy_j`` is RAPL's, None where it cannot be read: a footer's estimate
    is no measurement.
    """

    duration_s: float
    gpu_energy_j: float | None
    energy_source: str
    mean_power_w: float | None
    gpu_utilisation: float | None
    gpu_memory_bytes: int | None
    host_memory_bytes: int | None
    host_energy_j: float | None
    cpu_time_s: float | None


@dataclass(slots=True)
class _Parts:
    header: TraceHeader | None = None
    samples: list[Sample] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    workload: Workload | None = None
    footer: TraceFooter | None = None
    damaged_lines: int = 0


def parse_trace(text: str) -> Trace:
    """Read a trace as far as its lines are whole.

    Raises:
        TelemetryError: its first line is not a header, or more than ``MAX_DAMAGED_LINES`` cannot be read.
    """
    parts = _Parts()
    for line in _lines(text):
        try:
            _take(parts, line)
        except TelemetryError:
            if parts.header is None:
                raise
            parts.damaged_lines += 1
            if parts.damaged_lines > MAX_DAMAGED_LINES:
                raise TelemetryError(f"more than {MAX_DAMAGED_LINES} of its lines are damaged") from None
    if parts.header is None:
        raise TelemetryError("it is empty")
    return Trace(
        header=parts.header,
        samples=tuple(parts.samples),
        epochs=tuple(parts.epochs),
        projections=tuple(parts.projections),
        footer=parts.footer,
        damaged_lines=parts.damaged_lines,
        stops=tuple(parts.stops),
        workload=parts.workload,
    )


def summarise(trace: Trace) -> Summary:
    """What a trace measured, from its samples: the footer may be missing, and is only ever a copy."""
    meter = EnergyMeter()
    for sample in trace.samples:
        meter.add(sample)
    energy_j, source = meter.counted()
    source = named_source(source, trace.header.gpu_sensor)
    times = [sample.time_s for sample in trace.samples]
    sampled_s = times[-1] - times[0] if times else 0.0
    footer = trace.footer
    ended_at = footer.ended_at if footer else (times[-1] if times else trace.header.started_at)
    return Summary(
        duration_s=max(ended_at - trace.header.started_at, 0.0),
        gpu_energy_j=energy_j,
        energy_source=source,
        mean_power_w=energy_j / sampled_s if energy_j is not None and sampled_s > 0 else None,
        gpu_utilisation=_mean(gpu.utilisation for sample in trace.samples for gpu in sample.gpus),
        gpu_memory_bytes=_peak(gpu.memory_used_bytes for sample in trace.samples for gpu in sample.gpus),
        host_memory_bytes=_peak(sample.host.memory_bytes for sample in trace.samples),
        host_energy_j=footer.host_energy_j if footer and footer.host_energy_source == "rapl" else None,
        cpu_time_s=max((s.host.cpu_time_s for s in trace.samples if s.host.cpu_time_s is not None), default=None),
    )


def named_source(source: str, sensor: str) -> str:
    """Which energy counts, by the sensor that it is from: ``amdsmi_counter``; all of a replay is ``replay``."""
    if source == "none" or sensor == "nvml":
        return source
    return sensor if sensor == "replay" else source.replace("nvml", sensor)


def gpu_energy_between(trace: Trace, begin_s: float, end_s: float) -> float | None:
    """J that a node's GPUs used between two instants, by its samples; None where they do not reach over both."""
    meter = EnergyMeter()
    begin: Reading | None = None
    if not trace.samples or trace.samples[0].time_s > begin_s:
        return None
    for sample in trace.samples:
        meter.add(sample)
        if begin is None and sample.time_s >= begin_s:
            begin = meter.at(begin_s)
        if sample.time_s >= end_s:
            return spent_between(begin, meter.at(end_s)).energy_j
    return None


def _lines(text: str) -> Iterator[str]:
    """One after the other: a list of all of a file's empty lines takes eight times its size."""
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin)
        end = len(text) if end < 0 else end
        yield text[begin:end]
        begin = end + 1


def _take(parts: _Parts, line: str) -> None:
    record = record_of(line)
    if parts.header is None:
        if not isinstance(record, TraceHeader):
            raise TelemetryError("its first line is not a header")
        parts.header = record
    elif isinstance(record, TraceHeader) or parts.footer is not None:
        raise TelemetryError("a line stands where none should")
    elif isinstance(record, Sample):
        if len(record.gpus) != len(parts.header.gpus):
            raise TelemetryError("a sample is not of the header's GPUs")
        parts.samples.append(record)
    elif isinstance(record, Epoch):
        parts.epochs.append(record)
    elif isinstance(record, Projection):
        parts.projections.append(record)
    elif isinstance(record, Stop):
        parts.stops.append(record)
    elif isinstance(record, JobWorkload):
        parts.workload = record.workload
    else:
        parts.footer = record


def _mean(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def _peak(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
