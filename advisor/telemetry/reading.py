"""Reading a small trace whole, with all its samples; ``digest.py`` reads one of any size."""

from __future__ import annotations

from dataclasses import dataclass, field

from advisor.errors import TelemetryError
from advisor.inspection.workload import Workload
from advisor.telemetry.digest import MAX_DAMAGED_LINES, DigestBuilder, Summary, TraceDigest, lines_of
from advisor.telemetry.lines import Record, record_of
from advisor.telemetry.trace import Epoch, JobWorkload, Projection, Sample, Stop, Trace, TraceFooter, TraceHeader


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
    for line in lines_of([text.encode()]):
        try:
            _take(parts, record_of(line))
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


def _take(parts: _Parts, record: Record) -> None:
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


def digest_of(trace: Trace) -> TraceDigest:
    """A whole trace without its samples."""
    builder = DigestBuilder(trace.header)
    workload = [] if trace.workload is None else [JobWorkload(time_s=trace.header.started_at, workload=trace.workload)]
    footer = [] if trace.footer is None else [trace.footer]
    records: list[Record] = [*trace.samples, *trace.epochs, *trace.projections, *trace.stops, *workload, *footer]
    for record in records:
        builder.take(record)
    return builder.digest()


def summarise(trace: Trace) -> Summary:
    """What a trace measured, from its samples: the footer may be missing, and is only ever a copy."""
    return digest_of(trace).summary


def gpu_energy_between(trace: Trace, begin_s: float, end_s: float) -> float | None:
    """J that a node's GPUs used between two instants, by its samples; None where they do not reach over both."""
    return digest_of(trace).energy.between(begin_s, end_s)
