"""The environment variables that Slurm will set in a job, as far as its options say them (sbatch(1))."""

from __future__ import annotations

import re
from collections.abc import Mapping

# By the long name of the option whose value they repeat.
_REPEATED = {
    "SLURM_NTASKS": "ntasks", "SLURM_NPROCS": "ntasks", "SLURM_NTASKS_PER_NODE": "ntasks-per-node",
    "SLURM_CPUS_PER_TASK": "cpus-per-task", "SLURM_GPUS_PER_NODE": "gpus-per-node", "SLURM_GPUS": "gpus",
    "SLURM_JOB_NAME": "job-name", "SLURM_JOB_PARTITION": "partition", "SLURM_JOB_ACCOUNT": "account",
}  # fmt: skip


def slurm_variables(options: Mapping[str, str | None]) -> dict[str, str]:
    """Variables of the job, name to value; what only Slurm decides is left out. Of an array, those of its first task.

    Args:
        options: sbatch options by long name, from the command line, ``SBATCH_*`` and ``#SBATCH`` lines.
    """
    options = {**options, "ntasks-per-node": options.get("ntasks-per-node") or options.get("tasks-per-node")}
    found = {name: value for name, option in _REPEATED.items() if (value := options.get(option)) is not None}
    nodes = (options.get("nodes") or "1").partition("-")[0]
    found.update(SLURM_NNODES=nodes, SLURM_JOB_NUM_NODES=nodes)
    each = found.get("SLURM_NTASKS_PER_NODE", "")
    if "SLURM_NTASKS" not in found and each.isdecimal() and nodes.isdecimal():
        found["SLURM_NTASKS"] = found["SLURM_NPROCS"] = str(int(each) * int(nodes))
    first = re.match(r"\d+", options.get("array") or "")
    if first is not None:
        found["SLURM_ARRAY_TASK_ID"] = first.group()
    gpus = _gpus_on_node(options, nodes, each)
    return found if gpus is None else {**found, "SLURM_GPUS_ON_NODE": str(gpus)}


def _gpus_on_node(options: Mapping[str, str | None], nodes: str, tasks_on_node: str) -> int | None:
    in_gres = next((part for part in (options.get("gres") or "").split(",") if part.split(":")[0] == "gpu"), None)
    stated = options.get("gpus-per-node") or (in_gres if in_gres is not None and ":" in in_gres else None)
    if stated is not None:
        return _count(stated)
    if in_gres is not None:
        return 1
    of_all = _count(options.get("gpus"))
    if of_all is not None and nodes.isdecimal() and int(nodes) and of_all % int(nodes) == 0:
        return of_all // int(nodes)
    of_a_task, tasks = _count(options.get("gpus-per-task")), _count(tasks_on_node or options.get("ntasks"))
    if of_a_task is not None and nodes == "1":
        return of_a_task * (tasks or 1)
    return of_a_task * tasks if of_a_task is not None and tasks_on_node and tasks is not None else None


def _count(text: str | None) -> int | None:
    """The number at the end of ``gpu:a100:4``, ``a100:4`` or ``4``."""
    count = (text or "").rpartition(":")[2]
    return int(count) if count.isdecimal() and int(count) > 0 else None
