"""The traces, the ticket and the accounting of one attempt -> one run: pure, and the same for ingest and for gseff."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from advisor.corpus.accounting import AccountedJob
from advisor.corpus.belief import JobTicket, NodeTrace, place_of, rank_of
from advisor.corpus.plausibility import is_local
from advisor.corpus.rows import Attempt, TraceFile, ticket_fields
from advisor.corpus.run import ENERGY_SOURCES, QUALITIES, Run, RunEpoch
from advisor.telemetry.digest import Summary, TraceDigest
from advisor.telemetry.trace import Epoch

# The recorder writes at least every 30 s: a local trace that has been silent for this long has no writer left.
_SILENT_S = 120.0


def build_attempt(nodes: Sequence[NodeTrace], ticket: JobTicket | None, *, now_s: float) -> Attempt:
    """Join what is known of one attempt.

    Args:
        nodes: its traces, one a node, at least one.
        ticket: what was predicted, if the job has a ticket.
        now_s: the time, to tell a local run that goes on from one whose recorder died.
    """
    ranked = sorted(nodes, key=lambda node: rank_of(node.trace.header))
    traces = [node.trace for node in ranked]
    header, job = traces[0].header, ranked[0].job
    state, exit_status, finished = _ending(traces, job, now_s)
    epochs = _epochs(traces)
    found = next((trace.workload for trace in traces if trace.workload is not None), None)
    run = Run(
        cluster=header.cluster,
        job_id=header.job_id,
        array_job_id=header.array_job_id,
        array_task=header.array_task,
        restart=header.restart,
        local=is_local(header),
        user=job.user if job else header.user,
        account=job.account if job else None,
        state=state,
        exit_status=exit_status,
        started_at=min(trace.header.started_at for trace in traces),
        # slurmdbd loses the partition of some short jobs for good; the job itself knew it.
        partition=(job.partition if job else None) or header.partition,
        nodes=job.nodes if job and job.nodes else header.nodes,
        memory_bytes=_per_node(job, job.memory_bytes) if job else None,
        cpus=_per_node(job, job.cpus) if job else None,
        quality=_quality(traces),
        epochs=len(epochs),
        epoch_energy_j=_mean([epoch.gpu_energy_j for epoch in epochs]),
        epoch_duration_s=_mean([epoch.duration_s for epoch in epochs]),
        elapsed_s=job.elapsed_s if job else None,
        **_measurements(ranked, job),
        **ticket_fields(ticket.ticket if ticket else None, found),
    )
    return Attempt(
        run=run,
        epochs=epochs,
        uid=header.uid,
        accounted_start_s=job.started_at if job else None,
        finished=finished,
        traces=tuple(_trace_file(node) for node in ranked),
        ticket=ticket.ticket if ticket else None,
        ticket_file=ticket.file if ticket else None,
    )


def unmeasured_run(job: AccountedJob, ticket: JobTicket | None) -> Run:
    """An attempt of which accounting knows and no trace does: waiting, or not recorded."""
    array_job_id, _, array_task = job.shown_id.partition("_")
    return Run(
        cluster=job.cluster,
        job_id=job.job_id,
        array_job_id=array_job_id if array_task else None,
        array_task=array_task or None,
        restart=0,
        local=False,
        user=job.user,
        account=job.account,
        state=job.state,
        exit_status=job.exit_status if job.finished else None,
        started_at=job.started_at or job.submitted_at or 0.0,
        partition=job.partition,
        nodes=job.nodes,
        gpus=job.gpus or 0,
        gpu_model=None,
        memory_bytes=_per_node(job, job.memory_bytes),
        cpus=_per_node(job, job.cpus),
        quality="cut",
        epochs=0,
        epoch_energy_j=None,
        epoch_duration_s=None,
        elapsed_s=job.elapsed_s,
        energy_j=job.consumed_energy_j,
        energy_source="none" if job.consumed_energy_j is None else "sacct",
        mean_power_w=None,
        duration_s=job.elapsed_s,
        gpu_utilisation=None,
        gpu_memory_bytes=None,
        host_memory_bytes=job.max_rss_bytes,
        host_energy_j=None,
        **ticket_fields(ticket.ticket if ticket else None),
    )


def _ending(traces: Sequence[TraceDigest], job: AccountedJob | None, now_s: float) -> tuple[str, int | None, bool]:
    """State in Slurm's words, exit status, and whether nothing more will come."""
    if job is not None:
        return job.state, job.exit_status if job.finished else None, job.finished
    if all(trace.footer for trace in traces):
        worst = max(trace.footer.exit_status or 0 for trace in traces if trace.footer)
        return ("COMPLETED" if worst == 0 else "FAILED"), worst, True
    if now_s - max(trace.last_time_s for trace in traces) < _SILENT_S:
        return "RUNNING", None, False
    return "NODE_FAIL", None, True


def _measurements(nodes: Sequence[NodeTrace], job: AccountedJob | None) -> dict[str, Any]:
    """The figures of all nodes together; see ``Run`` for what each covers."""
    # The steps of a job use a node's GPUs one after the other.
    gpus = list({(node.trace.header.node, gpu.uuid): gpu for node in nodes for gpu in node.trace.header.gpus}.values())
    summaries = [node.trace.summary for node in nodes]
    duration_s = max(summary.duration_s for summary in summaries)
    host_peaks = [summary.host_memory_bytes for summary in summaries] + [job.max_rss_bytes if job else None]
    energy_j, source = _energy(summaries, job)
    mean_power_w = _total([summary.mean_power_w for summary in summaries])
    is_of_steps = any(node.trace.header.step is not None for node in nodes)
    if (source in {"rapl", "sacct"} or is_of_steps) and energy_j is not None and duration_s > 0:
        mean_power_w = energy_j / duration_s
    return {
        "gpus": len(gpus),
        "gpu_model": gpus[0].name if gpus else None,
        "duration_s": duration_s,
        "energy_j": energy_j,
        "energy_source": source,
        "mean_power_w": mean_power_w,
        "gpu_utilisation": _mean([summary.gpu_utilisation for summary in summaries]),
        "gpu_memory_bytes": max(
            (s.gpu_memory_bytes for s in summaries if s.gpu_memory_bytes is not None), default=None
        ),
        "host_memory_bytes": _peak(host_peaks),
        "host_energy_j": _total([summary.host_energy_j for summary in summaries]),
    }


def _energy(summaries: Sequence[Summary], job: AccountedJob | None) -> tuple[float | None, str]:
    """The best energy that every node has: the GPUs' counters, their power, RAPL, Slurm's own."""
    gpus_j = _total([summary.gpu_energy_j for summary in summaries])
    if gpus_j is not None:
        sources = {summary.energy_source for summary in summaries}
        # A sum is as good as the worst of its parts.
        return gpus_j, max(sources, key=ENERGY_SOURCES.index)
    host_j = _total([summary.host_energy_j for summary in summaries])
    if host_j is not None:
        return host_j, "rapl"
    if job is not None and job.consumed_energy_j is not None:
        return job.consumed_energy_j, "sacct"
    return None, "none"


def _total(values: Sequence[float | None]) -> float | None:
    """The sum over nodes, None where one of them is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _epochs(traces: Sequence[TraceDigest]) -> tuple[RunEpoch, ...]:
    """Each epoch once: the first node's times, all nodes' energy, which is None where a node's is not known.

    A validation pass that was marked apart belongs to no epoch here: what is predicted and learnt is of training.
    """
    on_node: dict[tuple[int, int], dict[int, Epoch]] = defaultdict(dict)
    for place, trace in enumerate(traces):
        for epoch in trace.epochs:
            if not epoch.validation:
                on_node[epoch.phase, epoch.index].setdefault(place, epoch)
    return tuple(_epoch(seen, traces) for _key, seen in sorted(on_node.items()))


def _epoch(seen: Mapping[int, Epoch], traces: Sequence[TraceDigest]) -> RunEpoch:
    """Only the training's first process marks epochs: what the other nodes used meanwhile is in their samples."""
    first = next(iter(seen.values()))
    energies = [
        seen[place].gpu_energy_j if place in seen else trace.energy.between(first.started_at, first.ended_at)
        for place, trace in enumerate(traces)
        if place in seen or not _is_apart(trace, first)
    ]
    return RunEpoch(
        phase=first.phase,
        index=first.index,
        started_at=first.started_at,
        duration_s=first.ended_at - first.started_at,
        gpu_energy_j=_total(energies),
        steps=first.steps,
        samples=first.samples,
    )


def _is_apart(trace: TraceDigest, epoch: Epoch) -> bool:
    """Whether a step of the job had ended on its node before the epoch, or began there after it."""
    header = trace.header
    return header.step is not None and (header.started_at >= epoch.ended_at or trace.last_time_s <= epoch.started_at)


def _quality(traces: Sequence[TraceDigest]) -> str:
    """The worst of any node; an attempt that lacks a node's trace is cut."""
    missing = len({trace.header.node for trace in traces}) < traces[0].header.nodes
    qualities = [_trace_quality(trace) for trace in traces] + (["cut"] if missing else [])
    return max(qualities, key=QUALITIES.index)


def _trace_quality(trace: TraceDigest) -> str:
    # The last line of a file that was cut is damaged as a matter of course.
    if trace.damaged_lines > (0 if trace.footer else 1):
        return "damaged"
    return "complete" if trace.footer else "cut"


def _trace_file(node: NodeTrace) -> TraceFile:
    return TraceFile(
        file=node.file,
        node=place_of(node.trace.header),
        schema=node.trace.header.schema,
        quality=_trace_quality(node.trace),
    )


def _per_node(job: AccountedJob, total: int | None) -> int | None:
    return None if total is None or job.nodes == 0 else total // job.nodes


def _peak(values: Sequence[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
