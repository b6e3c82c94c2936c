"""What a trace says of a run, read as a stream: memory does not grow with what its writer put into it.

A sample is counted and forgotten; of its energies three numbers are kept, with which a node's share of another node's
epochs is found. Everything that is kept as it stands has a limit.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from advisor.errors import TelemetryError
from advisor.inspection.workload import Workload
from advisor.telemetry.energy import EnergyMeter, Reading, named_source, spent_between
from advisor.telemetry.lines import Record, record_of
from advisor.telemetry.trace import Epoch, JobWorkload, Projection, Sample, Stop, TraceFooter, TraceHeader
from advisor.units import MIB

# A header with 64 GPUs and a command line of 128 KiB; its JSON can take 25 times as much memory.
MAX_LINE_BYTES = MIB
# A recorder leaves one, where it was killed; a failing disk some. A file of nothing else would be read for hours.
MAX_DAMAGED_LINES = 1000
# A sample a second for a month, with one at each epoch's end; 24 bytes are kept of each.
MAX_SAMPLES = 3_000_000
# 250 bytes are kept of each.
MAX_EPOCHS = 200_000
# An epoch has three projections at most.
_MAX_PROJECTIONS = 10
_OVERLONG = b"\x00"
Number = TypeVar("Number", int, float)


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


class EnergyCurve:
    """The energy of a node's GPUs over time, J since the first sample, by counter and by integral."""

    def __init__(self) -> None:
        self._times = array("d")
        self._counters = array("d")
        self._integrals = array("d")

    def __len__(self) -> int:
        return len(self._times)

    def add(self, reading: Reading) -> None:
        """Take the totals at the next sample; a clock that was set back does not bend the curve."""
        self._times.append(max(reading.time_s, self._times[-1]) if self._times else reading.time_s)
        self._counters.append(math.nan if reading.counter_j is None else reading.counter_j)
        self._integrals.append(math.nan if reading.integral_j is None else reading.integral_j)

    def between(self, begin_s: float, end_s: float) -> float | None:
        """J that were used between two instants, by interpolation; None where the samples do not reach over both."""
        if not self._times or self._times[0] > begin_s or self._times[-1] < end_s:
            return None
        return spent_between(self._at(begin_s), self._at(end_s)).energy_j

    def _at(self, time_s: float) -> Reading:
        after = bisect_left(self._times, time_s)
        before = max(after - 1, 0)
        span_s = self._times[after] - self._times[before]
        share = (time_s - self._times[before]) / span_s if span_s > 0 else 1.0
        return Reading(time_s, *(_between(curve, before, after, share) for curve in (self._counters, self._integrals)))


def _between(curve: array[float], before: int, after: int, share: float) -> float | None:
    value = curve[before] + (curve[after] - curve[before]) * share
    return None if math.isnan(value) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceDigest:
    """A trace without its samples.

    ``projections`` are those of the newest instant that had any, ``stop`` the last word on stopping the training.
    ``footer`` is None where the recorder did not live to write it; ``damaged_lines`` counts lines that could not be
    read. ``last_sampled_at`` is the time of the last sample, None where there is none.
    """

    header: TraceHeader
    epochs: tuple[Epoch, ...]
    projections: tuple[Projection, ...]
    stop: Stop | None
    workload: Workload | None
    footer: TraceFooter | None
    damaged_lines: int
    summary: Summary
    energy: EnergyCurve
    last_sampled_at: float | None

    @property
    def last_time_s(self) -> float:
        """The last instant that the trace speaks of, in seconds since the epoch."""
        times = [self.header.started_at, self.last_sampled_at]
        times += [self.epochs[-1].ended_at] if self.epochs else []
        times += [self.footer.ended_at] if self.footer else []
        return max(time for time in times if time is not None)


class _Mean:
    """A running mean of what is known."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, value: float | None) -> None:
        if value is not None:
            self._sum += value
            self._count += 1

    def value(self) -> float | None:
        return self._sum / self._count if self._count else None


class DigestBuilder:
    """Takes the records of one trace in their order.

    Args:
        header: its first record.
        check_sample: refuses a sample that cannot be true, by raising; samples are seen here only.
    """

    def __init__(self, header: TraceHeader, check_sample: Callable[[Sample], None] = lambda _sample: None) -> None:
        self._header = header
        self._check_sample = check_sample
        self._meter = EnergyMeter()
        self._curve = EnergyCurve()
        self._epochs: list[Epoch] = []
        self._projections: list[Projection] = []
        self._stop: Stop | None = None
        self._workload: Workload | None = None
        self._footer: TraceFooter | None = None
        self._damaged = 0
        self._first_s: float | None = None
        self._last_s: float | None = None
        self._utilisation = _Mean()
        self._gpu_memory: int | None = None
        self._host_memory: int | None = None
        self._cpu_time_s: float | None = None

    def take_line(self, line: bytes) -> None:
        """Take a line; one that is no record, or stands where none should, counts as damaged.

        Raises:
            TelemetryError: there are too many of them, or too many records of one kind, or a sample is refused.
        """
        try:
            record = record_of(line)
            self._check_place(record)
        except TelemetryError:
            self._damaged += 1
            if self._damaged > MAX_DAMAGED_LINES:
                raise TelemetryError(f"more than {MAX_DAMAGED_LINES} of its lines are damaged") from None
        else:
            self.take(record)

    def _check_place(self, record: Record) -> None:
        if isinstance(record, TraceHeader) or self._footer is not None:
            raise TelemetryError("a line stands where none should")
        if isinstance(record, Sample) and len(record.gpus) != len(self._header.gpus):
            raise TelemetryError("a sample is not of the header's GPUs")

    def take(self, record: Record) -> None:
        """Take a record that is known to be in its place.

        Raises:
            TelemetryError: there are too many records of its kind, or the sample is refused.
        """
        if isinstance(record, Sample):
            self._take_sample(record)
        elif isinstance(record, Epoch):
            if len(self._epochs) >= MAX_EPOCHS:
                raise TelemetryError(f"it has more than {MAX_EPOCHS} epochs")
            self._epochs.append(record)
        elif isinstance(record, Projection):
            newest = [item for item in self._projections if item.time_s == record.time_s]
            self._projections = [*newest, record][-_MAX_PROJECTIONS:]
        elif isinstance(record, Stop):
            self._stop = record
        elif isinstance(record, JobWorkload):
            self._workload = record.workload
        elif isinstance(record, TraceFooter):
            self._footer = record

    def _take_sample(self, sample: Sample) -> None:
        if len(self._curve) >= MAX_SAMPLES:
            raise TelemetryError(f"it has more than {MAX_SAMPLES} samples")
        self._check_sample(sample)
        self._meter.add(sample)
        totals = self._meter.totals
        if totals is not None:
            self._curve.add(totals)
        self._first_s = sample.time_s if self._first_s is None else self._first_s
        self._last_s = sample.time_s
        for gpu in sample.gpus:
            self._utilisation.add(gpu.utilisation)
            self._gpu_memory = _larger(self._gpu_memory, gpu.memory_used_bytes)
        self._host_memory = _larger(self._host_memory, sample.host.memory_bytes)
        self._cpu_time_s = _larger(self._cpu_time_s, sample.host.cpu_time_s)

    def digest(self) -> TraceDigest:
        """What was taken."""
        return TraceDigest(
            header=self._header,
            epochs=tuple(self._epochs),
            projections=tuple(self._projections),
            stop=self._stop,
            workload=self._workload,
            footer=self._footer,
            damaged_lines=self._damaged,
            summary=self._summary(),
            energy=self._curve,
            last_sampled_at=self._last_s,
        )

    def _summary(self) -> Summary:
        """From the samples: the footer may be missing, and is only ever a copy."""
        energy_j, source = self._meter.counted()
        sampled_s = 0.0 if self._first_s is None or self._last_s is None else self._last_s - self._first_s
        footer, began_s = self._footer, self._header.started_at
        ended_s = footer.ended_at if footer else (began_s if self._last_s is None else self._last_s)
        return Summary(
            duration_s=max(ended_s - began_s, 0.0),
            gpu_energy_j=energy_j,
            energy_source=named_source(source, self._header.gpu_sensor),
            mean_power_w=energy_j / sampled_s if energy_j is not None and sampled_s > 0 else None,
            gpu_utilisation=self._utilisation.value(),
            gpu_memory_bytes=self._gpu_memory,
            host_memory_bytes=self._host_memory,
            host_energy_j=footer.host_energy_j if footer and footer.host_energy_source == "rapl" else None,
            cpu_time_s=self._cpu_time_s,
        )


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file that comes in pieces; one that is too long comes as a line that is no record."""
    rest = b""
    skips = False
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if not skips:
                yield line if len(line) <= MAX_LINE_BYTES else _OVERLONG
            skips = False
        if len(rest) > MAX_LINE_BYTES:
            if not skips:
                yield _OVERLONG
            skips, rest = True, b""
    if rest and not skips:
        yield rest


def header_of_line(line: bytes) -> TraceHeader:
    """A trace's first line.

    Raises:
        TelemetryError: it is not a header.
    """
    record = record_of(line)
    if not isinstance(record, TraceHeader):
        raise TelemetryError("its first line is not a header")
    return record


def _larger(one: Number | None, other: Number | None) -> Number | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
