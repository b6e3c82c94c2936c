"""What the job's ticket predicted, as far as this node can hold its epochs against it."""

from __future__ import annotations

from pathlib import Path

from advisor.errors import TelemetryError
from advisor.submission.ticket import find_ticket
from advisor.telemetry.projection import Expectation
from advisor.telemetry.trace import TraceHeader


def read_expectation(spool_dir: Path, header: TraceHeader) -> Expectation | None:
    """The prediction of the ticket that bears this job's ticket id; None where there is none to be read.

    A run of ``gsbatch --local`` has none yet: its ticket is written when it has ended.
    """
    job_id = header.array_job_id or header.job_id
    try:
        ticket = find_ticket(spool_dir, header.cluster, job_id)
    except (TelemetryError, OSError):
        return None
    if ticket is None or ticket.prediction is None or ticket.ticket_id != header.ticket_id:
        return None
    return Expectation(
        epoch_energy_j=ticket.prediction.epoch_energy_j.scaled(1 / header.nodes),
        epoch_duration_s=ticket.prediction.epoch_duration_s,
        epochs=ticket.workload.epochs.value,
    )
