"""Made-up traces and accounting for the corpus's tests: one GPU at a constant power, epochs of equal length."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from advisor.corpus.accounting import AccountedJob
from advisor.inspection.workload import Fact, Source, Workload
from advisor.inventory.model import GpuModel
from advisor.placement.placement import Placement
from advisor.prediction.prediction import Estimate, ModelIdentity, Prediction
from advisor.submission.ticket import TICKET_SCHEMA_VERSION, Ticket
from advisor.telemetry.lines import line_of
from advisor.telemetry.trace import (
    TRACE_SUFFIX,
    Epoch,
    GpuSample,
    HostSample,
    Sample,
    Trace,
    TracedGpu,
    TraceFooter,
    TraceHeader,
)
from advisor.units import GIB

NOW_S = 1_700_100_000.0
START_S = 1_700_000_000.0
POWER_W = 200.0
EPOCH_S = 10.0
UID = os.getuid()
USER = pwd.getpwuid(UID).pw_name

HEADER = TraceHeader(
    schema=1,
    cluster="mini",
    job_id="7",
    array_job_id=None,
    array_task=None,
    restart=0,
    node="n1",
    node_rank=0,
    nodes=1,
    uid=UID,
    user=USER,
    started_at=START_S,
    command=("python", "train.py"),
    ticket_id=None,
    interval_s=1.0,
    gpus=(TracedGpu(uuid="GPU-1", name="NVIDIA A100-SXM4-80GB", has_energy_counter=True, memory_bytes=80 * GIB),),
    gpu_note=None,
    host_note=None,
    partition="ampere",
    recorder_version="0.1.0",
)
PREDICTION = Prediction(
    placement=Placement(
        partition="ampere",
        gres_type="a100",
        gpu=GpuModel(name="NVIDIA A100"),
        gpus=1,
        nodes=1,
        memory_bytes=16 * GIB,
        cpus=4,
        max_time_s=None,
    ),
    mean_power_w=Estimate(200.0, 150.0, 250.0),
    epoch_energy_j=Estimate(1000.0, 800.0, 1300.0),
    epoch_duration_s=Estimate(5.0, 4.0, 6.5),
    energy_j=Estimate(10_000.0, 8000.0, 13_000.0),
    duration_s=Estimate(50.0, 40.0, 65.0),
    gpu_memory_bytes=None,
    host_memory_bytes=None,
    gpu_utilisation=Estimate(0.6, 0.4, 0.8),
    method="prior",
    confidence="medium",
    reason="seen",
)
JOB = AccountedJob(
    cluster="mini",
    job_id="7",
    shown_id="7",
    user=USER,
    uid=UID,
    account="bigml",
    partition="ampere",
    state="COMPLETED",
    exit_status=0,
    elapsed_s=55.0,
    submitted_at=START_S - 60,
    started_at=START_S - 2,
    ended_at=START_S + 53,
    nodes=1,
    node_list="n1",
    cpus=4,
    memory_bytes=16 * GIB,
    gpus=1,
    max_rss_bytes=3 * GIB,
    consumed_energy_j=None,
)


def made_trace(header: TraceHeader = HEADER, *, epochs: int = 5, exit_status: int | None = 0) -> Trace:
    """A trace of ``epochs`` epochs at 200 W a GPU; without a footer where ``exit_status`` is None."""
    duration_s = epochs * EPOCH_S
    gpus = len(header.gpus)
    samples = tuple(_sample(header, second) for second in range(int(duration_s) + 1))
    marks = tuple(_epoch(header, index) for index in range(epochs))
    footer = TraceFooter(
        ended_at=header.started_at + duration_s,
        exit_status=exit_status or 0,
        reason="exit",
        energy_source="nvml_counter" if gpus else "none",
        gpu_energy_counter_j=gpus * POWER_W * duration_s if gpus else None,
        gpu_energy_integral_j=gpus * POWER_W * duration_s if gpus else None,
        host_energy_j=None,
        host_energy_source="none",
        samples=len(samples),
        epochs=epochs,
    )
    return Trace(
        header=header,
        samples=samples,
        epochs=marks,
        projections=(),
        footer=None if exit_status is None else footer,
    )


def _sample(header: TraceHeader, second: int) -> Sample:
    gpu = GpuSample(
        power_w=POWER_W,
        energy_counter_j=1e6 + POWER_W * second,
        utilisation=0.8,
        memory_used_bytes=10 * GIB,
        temperature_c=60.0,
    )
    host = HostSample(cpu_time_s=float(second), memory_bytes=2 * GIB)
    return Sample(time_s=header.started_at + second, gpus=(gpu,) * len(header.gpus), host=host)


def _epoch(header: TraceHeader, index: int) -> Epoch:
    started_at = header.started_at + index * EPOCH_S
    return Epoch(
        phase=0,
        index=index,
        started_at=started_at,
        ended_at=started_at + EPOCH_S,
        steps=100,
        samples=3200,
        gpu_energy_j=len(header.gpus) * POWER_W * EPOCH_S if header.gpus else None,
        validation=False,
    )


def on_nodes(header: TraceHeader, names: Sequence[str]) -> list[TraceHeader]:
    """The headers of one attempt that ran on several nodes."""
    return [replace(header, node=name, node_rank=rank, nodes=len(names)) for rank, name in enumerate(names)]


def made_ticket(header: TraceHeader = HEADER) -> Ticket:
    """The ticket of a job, which predicted ``PREDICTION``."""
    return Ticket(
        schema=TICKET_SCHEMA_VERSION,
        ticket_id="t1",
        cluster=header.cluster,
        job_id=header.array_job_id or header.job_id,
        submitted_at="2026-11-21T06:00:00+00:00",
        user=header.user,
        script_path="/home/alice/train.py",
        script_sha256="ab" * 32,
        arguments=("--epochs", "5"),
        workload=Workload(epochs=Fact(5, Source.OPTION), model_name=Fact("resnet50", Source.PROBE)),
        prediction=PREDICTION,
        model=ModelIdentity(name="prior", version="1", trained_on_runs=857, promoted_at="2026-11-01"),
        objective="energy",
        followed=True,
    )


def spooled(folder: Path, trace: Trace) -> Path:
    """Write a trace into a spool folder as the recorder would."""
    header = trace.header
    job = f"{header.array_job_id}_{header.array_task}" if header.array_job_id else header.job_id
    path = folder / f"{header.cluster}-{job}-{header.restart}-{header.node}{TRACE_SUFFIX}"
    path.write_text(trace_text(trace))
    return path


def trace_text(trace: Trace) -> str:
    """The lines of a trace."""
    records = (trace.header, *trace.samples, *trace.epochs, *trace.projections, *trace.stops)
    return "".join(line_of(record) for record in (*records, *((trace.footer,) if trace.footer else ())))
