"""Accounting through pyslurm (25.11's ``pyslurm.db.Jobs``), as the same values as sacct's.

pyslurm asks slurmdbd for the last attempt of each job only: earlier attempts of a requeued job have to be asked of
sacct, and the caller is told of which jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from advisor.corpus.accounting import AccountedJob, state_word
from advisor.errors import SlurmError
from advisor.units import MIB


def read_with_pyslurm(pyslurm: Any, job_ids: Sequence[str]) -> tuple[list[AccountedJob], list[str]]:
    """The last attempt of each job, and the raw ids of those that were requeued.

    Args:
        pyslurm: the imported module.
        job_ids: ``N``, ``N_task`` or ``N+component``.

    Raises:
        SlurmError: slurmdbd does not answer.
    """
    numbers = sorted({int(job_id.replace("+", "_").partition("_")[0]) for job_id in job_ids})
    try:
        by_cluster = pyslurm.db.Jobs.load(pyslurm.db.JobFilter(ids=numbers, clusters="all"))
    except pyslurm.RPCError as exc:
        raise SlurmError(f"pyslurm could not ask slurmdbd: {exc}", hint="Is slurmdbd up? Try: sacctmgr ping") from exc
    loaded = [job for jobs in by_cluster.data.values() for job in jobs.values()]
    asked = set(job_ids)
    found = [(accounted_job(job), job.requeue_count) for job in loaded]
    wanted = [item for item in found if _is_asked(item[0], asked)]
    return [job for job, _requeues in wanted], [job.job_id for job, requeues in wanted if requeues]


def _is_asked(job: AccountedJob, asked: set[str]) -> bool:
    array_id = job.shown_id.replace("+", "_").partition("_")[0]
    return not asked.isdisjoint({job.job_id, job.shown_id, array_id})


def accounted_job(job: Any) -> AccountedJob:
    """A ``pyslurm.db.Job`` as a value. Its memory figures are in MiB where allocated, in bytes where used."""
    tres = job.allocated_tres
    energy_j = sum(step.stats.consumed_energy for step in job.steps.values())
    peak_bytes = max((step.stats.max_resident_memory for step in job.steps.values()), default=0)
    signal = job.exit_code_signal or 0
    memory_mib = _count(tres, "mem")
    return AccountedJob(
        cluster=job.cluster,
        job_id=str(job.id),
        shown_id=_shown_id(job),
        user=job.user_name or "",
        uid=job.user_id,
        account=job.account or None,
        partition=job.partition or None,
        state=state_word(job.state),
        exit_status=128 + signal if signal else job.exit_code,
        elapsed_s=float(job.elapsed_time or 0),
        submitted_at=_time(job.submit_time),
        started_at=None if job.state == "PENDING" else _time(job.start_time),
        ended_at=_time(job.end_time),
        nodes=job.num_nodes or 0,
        node_list=job.nodelist or "",
        cpus=_count(tres, "cpu"),
        memory_bytes=None if memory_mib is None else memory_mib * MIB,
        gpus=_gpus(tres),
        gpu_types=_gpu_types(tres),
        max_rss_bytes=peak_bytes or None,
        consumed_energy_j=float(energy_j) if energy_j > 0 else None,
    )


def _shown_id(job: Any) -> str:
    if job.array_id:
        # pyslurm 25.11 gives None for task 0 as for no task; tasks that wait are one job that has their set instead.
        if job.array_tasks_waiting:
            return f"{job.array_id}_[{_task_ranges(job.array_tasks_waiting)}]"
        return f"{job.array_id}_{job.array_task_id or 0}"
    if job.heterogeneous_id:
        # None for component 0 likewise.
        return f"{job.heterogeneous_id}+{job.heterogeneous_offset or 0}"
    return str(job.id)


def _task_ranges(waiting: str) -> str:
    """``0x3E2`` as ``1,5-9``: slurmdbd keeps a set of tasks as a hexadecimal mask, which pyslurm 25.11 passes on."""
    if not waiting.startswith("0x"):
        return waiting
    mask = int(waiting, 16)
    tasks = [task for task in range(mask.bit_length()) if mask >> task & 1]
    starts = [task for task in tasks if not task or not mask >> (task - 1) & 1]
    ends = [task for task in tasks if not mask >> (task + 1) & 1]
    return ",".join(f"{start}" if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True))


def _count(tres: Any, name: str) -> int | None:
    found = getattr(tres, name, None) if tres is not None else None
    return None if found is None else int(found.count)


def _gpus(tres: Any) -> int | None:
    """All GPUs: accounting has them as ``gpu``, and beside that by type where the site tracks types."""
    if tres is None:
        return None
    if "gpu" in tres.gres:
        return int(tres.gres["gpu"].count)
    typed = [int(entry.count) for name, entry in tres.gres.items() if name.startswith("gpu:")]
    return sum(typed) if typed else None


def _gpu_types(tres: Any) -> tuple[str, ...]:
    return () if tres is None else tuple(name.removeprefix("gpu:") for name in tres.gres if name.startswith("gpu:"))


def _time(seconds: Any) -> float | None:
    return float(seconds) if seconds else None
