"""Every way to run a workload that Slurm could grant this user, and the reason for each that it could not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from advisor.errors import InventoryError
from advisor.inspection.workload import Workload
from advisor.inventory.model import GpuModel, Gres, Inventory, Node, Partition
from advisor.placement.placement import Candidates, Placement, Rejection
from advisor.request.node_selection import is_listed, meets
from advisor.request.placement_request import Request
from advisor.units import GIB, human_duration, human_memory

MEMORY_STEPS_BYTES = tuple(step * GIB for step in (8, 16, 32, 64, 128))
MEMORY_STEP_ABOVE_BYTES = 64 * GIB
SAME_MEMORY_SHARE = 0.05
# More CPUs a GPU than this feed no training faster; fewer than the node's share of a GPU would be wasted beside it.
MAX_CPUS_PER_GPU = 8
_NO_GPU = "it has no GPU"


class _Unfit(Exception):
    """A partition's GPU does not fit; the text is the reason that a person reads."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """The nodes of a partition that have one kind of GPU, usable or not."""

    gres_type: str | None
    gpu: GpuModel
    members: tuple[tuple[Node, Gres], ...]


def candidate_placements(
    workload: Workload,
    inventory: Inventory,
    request: Request,
    *,
    host_memory_bytes: int | None = None,
) -> Candidates:
    """Find the placements to predict: each partition, GPU model and sensible RAM allocation.

    Args:
        workload: what will be trained; only the number of devices it uses is read.
        inventory: the cluster as this user may use it.
        request: what the user fixed; it is never widened or changed.
        host_memory_bytes: what the training needs on the host, where that is known; smaller allocations are left out.

    Raises:
        InventoryError: the cluster has no partition with GPUs.
    """
    if not any(node.gres for partition in inventory.partitions for node in partition.nodes):
        raise InventoryError(
            f"Cluster {inventory.cluster_name} has no partition with GPUs.",
            hint="Slurm lists GPUs as Gres=gpu. See: scontrol show node, or describe a cluster with --inventory FILE.",
        )
    placements: list[Placement] = []
    rejections = list(_unknown_partitions(inventory, request))
    for partition in inventory.partitions:
        reason = _partition_reason(partition, inventory, request)
        if reason is not None:
            rejections.append(Rejection(partition=partition.name, gpu_model=None, reason=reason))
            continue
        for pool in _pools(partition):
            found = _placements(partition, pool, workload, request, host_memory_bytes)
            if isinstance(found, Rejection):
                rejections.append(found)
            else:
                placements += found
    rejections.sort(key=lambda found: _beside_the_point(found, request))
    return Candidates(placements=tuple(placements), rejections=tuple(rejections))


def _beside_the_point(rejection: Rejection, request: Request) -> int:
    """The more, the later it is told: what says most is why what was asked for, or a GPU, is not offered."""
    if rejection.gpu_model is not None or rejection.partition in (request.partitions or ()):
        return 0
    return 2 if rejection.reason == _NO_GPU else 1


def _unknown_partitions(inventory: Inventory, request: Request) -> Iterator[Rejection]:
    known = {partition.name for partition in inventory.partitions}
    for name in request.partitions or ():
        if name not in known:
            yield Rejection(partition=name, gpu_model=None, reason="the cluster has no such partition")


def _partition_reason(partition: Partition, inventory: Inventory, request: Request) -> str | None:
    """Why nothing of a partition is offered; None where its GPUs are worth a look."""
    named = request.partitions is not None and partition.name in request.partitions
    if request.partitions is not None and not named:
        return f"partition {' or '.join(request.partitions)} is asked for"
    if not any(node.gres for node in partition.nodes):
        return _NO_GPU
    if partition.barred_reason is not None:
        return partition.barred_reason
    if partition.hidden and not named:
        return "the site hides this partition; name it to use it"
    return _membership_reason(partition, inventory, request)


def _membership_reason(partition: Partition, inventory: Inventory, request: Request) -> str | None:
    account = request.account or inventory.account
    if partition.allowed_accounts is not None and account is not None and account not in partition.allowed_accounts:
        others = " or ".join(f"--account={name}" for name in partition.allowed_accounts)
        return f"account {account} may not use it" + (f"; try {others}" if others else "")
    qos = request.qos or inventory.qos
    if partition.allowed_qos is not None and qos is not None and qos not in partition.allowed_qos:
        others = " or ".join(f"--qos={name}" for name in partition.allowed_qos)
        return f"QOS {qos} may not use it" + (f"; try {others}" if others else "")
    return _time_reason(partition, request)


def _time_reason(partition: Partition, request: Request) -> str | None:
    if request.time_s is not None and partition.max_time_s is not None and request.time_s > partition.max_time_s:
        asked = "no time limit" if request.time_s == inf else human_duration(request.time_s)
        return f"{asked} asked, its limit is {human_duration(partition.max_time_s)}"
    return None


def _pools(partition: Partition) -> tuple[_Pool, ...]:
    members: dict[tuple[str | None, GpuModel], list[tuple[Node, Gres]]] = {}
    for node in partition.nodes:
        for gres in node.gres:
            if gres.count > 0:
                members.setdefault((gres.gres_type, gres.gpu), []).append((node, gres))
    return tuple(_Pool(gres_type, gpu, tuple(found)) for (gres_type, gpu), found in members.items())


def _placements(
    partition: Partition, pool: _Pool, workload: Workload, request: Request, host_memory_bytes: int | None
) -> list[Placement] | Rejection:
    try:
        _check_type(pool, request)
        _check_share(pool, request)
        members = _usable(pool, request)
        gpus_per_node, nodes = _gpus_and_nodes(partition, pool, members, workload, request)
        members = [(node, gres) for node, gres in members if gres.count >= gpus_per_node]
        asked_cpus = _asked_cpus(request, gpus_per_node)
        members = _with_cpus(partition, members, asked_cpus, nodes)
        cpus = min(_cpus(partition, node, gres, asked_cpus, gpus_per_node) for node, gres in members)
        limit = sorted((_memory_limit(partition, node) for node, _ in members), reverse=True)[nodes - 1]
        default = _default_memory(partition, gpus_per_node, cpus)
        asked_memory = _asked_memory(request, gpus_per_node, cpus, limit)
        memory_choices = _memory_choices(asked_memory, default, host_memory_bytes or 0, limit)
    except _Unfit as unfit:
        return Rejection(partition=partition.name, gpu_model=pool.gpu.name, reason=str(unfit))
    return [
        Placement(
            partition=partition.name,
            gres_type=pool.gres_type,
            gpu=pool.gpu,
            gpus=gpus_per_node * nodes,
            nodes=nodes,
            memory_bytes=memory_bytes,
            cpus=cpus,
            max_time_s=partition.max_time_s,
            node_features=_common_features(members),
        )
        for memory_bytes in memory_choices
    ]


def _check_type(pool: _Pool, request: Request) -> None:
    if request.gpu_type is not None and request.gpu_type.lower() != (pool.gres_type or "").lower():
        raise _Unfit(f"GPU type {request.gpu_type} is asked for")


def _check_share(pool: _Pool, request: Request) -> None:
    if request.whole_nodes and pool.gpu.slice_of is not None:
        raise _Unfit("--exclusive takes the whole node, of which a MIG slice is a small part")


def _usable(pool: _Pool, request: Request) -> list[tuple[Node, Gres]]:
    up = [(node, gres) for node, gres in pool.members if node.unavailable_reason is None]
    if not up:
        nodes = [f"node {node.name} {node.unavailable_reason}" for node, _ in pool.members]
        raise _Unfit("; ".join(nodes[:3]) + (f"; and {len(nodes) - 3} more" if len(nodes) > 3 else ""))  # noqa: PLR2004
    if request.nodelist is not None:
        up = [(node, gres) for node, gres in up if is_listed(node.name, request.nodelist or "")]
        if not up:
            raise _Unfit(f"node {request.nodelist} is asked for")
    if request.exclude is not None:
        up = [(node, gres) for node, gres in up if not is_listed(node.name, request.exclude or "")]
        if not up:
            raise _Unfit(f"its nodes are excluded ({request.exclude})")
    fitting = [(node, gres) for node, gres in up if meets(request.constraint, node.features)]
    if not fitting:
        raise _Unfit(f"no node has the features asked for ({request.constraint})")
    return fitting


def _gpus_and_nodes(
    partition: Partition, pool: _Pool, members: list[tuple[Node, Gres]], workload: Workload, request: Request
) -> tuple[int, int]:
    """GPUs a node and nodes: the user's, else as many GPUs as the workload uses on one node.

    A job is never spread over nodes that the user did not ask for: most trainings would use the first alone.
    """
    most = max(gres.count for _, gres in members)
    nodes = request.nodes or max(1, partition.min_nodes)
    per_node = -(-(request.gpus or workload.devices.value or 1) // nodes)
    if per_node > most:
        raise _Unfit(f"{per_node} GPUs asked, nodes have {most}")
    if pool.gpu.slice_of is not None and per_node * nodes > 1:
        raise _Unfit("one training cannot span several MIG slices")
    if partition.max_gpus_per_job is not None and per_node * nodes > partition.max_gpus_per_job:
        raise _Unfit(f"{per_node * nodes} GPUs asked, a job may have {partition.max_gpus_per_job}")
    if partition.max_nodes is not None and nodes > partition.max_nodes:
        raise _Unfit(f"{nodes} nodes asked, a job may have {partition.max_nodes}")
    enough = sum(gres.count >= per_node for _, gres in members)
    if enough < nodes:
        raise _Unfit(f"{nodes} nodes with {per_node} GPUs asked, {enough} can be used")
    return per_node, nodes


def _asked_cpus(request: Request, gpus: int) -> int | None:
    """CPUs a node that the user's words come to with that many GPUs; None where they left it open."""
    return request.cpus if request.cpus_per_gpu is None else request.cpus_per_gpu * gpus


def _with_cpus(
    partition: Partition, members: list[tuple[Node, Gres]], asked: int | None, nodes: int
) -> list[tuple[Node, Gres]]:
    if asked is None:
        return members
    most = max(_cpu_limit(partition, node) for node, _ in members)
    fitting = [(node, gres) for node, gres in members if _cpu_limit(partition, node) >= asked]
    if len(fitting) < nodes:
        raise _Unfit(f"{asked} CPUs asked, nodes have {most}")
    return fitting


def _cpu_limit(partition: Partition, node: Node) -> int:
    return min(node.cpus, partition.max_cpus_per_node or node.cpus)


def _cpus(partition: Partition, node: Node, gres: Gres, asked: int | None, gpus: int) -> int:
    """The user's CPUs, else the partition's default for GPUs, else the GPUs' share of the node's, within reason."""
    if asked is not None:
        return asked
    if partition.default_cpus_per_gpu is not None:
        wanted = partition.default_cpus_per_gpu * gpus
    else:
        wanted = min(int(node.cpus * gpus / gres.count * gres.gpu.slice_share), MAX_CPUS_PER_GPU * gpus)
    return max(1, min(wanted, _cpu_limit(partition, node)))


def _asked_memory(request: Request, gpus: int, cpus: int, limit: int) -> int | None:
    """RAM a node that the user's words come to with that many GPUs and CPUs; None where they left it open."""
    if request.whole_memory:
        return limit
    if request.memory_per_cpu_bytes is not None:
        return request.memory_per_cpu_bytes * cpus
    if request.memory_per_gpu_bytes is not None:
        return request.memory_per_gpu_bytes * gpus
    return request.memory_bytes


def _memory_choices(asked: int | None, default: int | None, need: int, limit: int) -> list[int]:
    """RAM a node, smallest first: the user's, else the steps and the partition's default between need and limit."""
    if asked is not None:
        if asked > limit:
            raise _Unfit(f"{human_memory(asked)} of RAM asked, a node gives {human_memory(limit)}")
        return [asked]
    choices = {min(step, limit) for step in MEMORY_STEPS_BYTES}
    if default is not None:  # 8000M and 8G need not both be looked at
        default = min(default, limit)
        choices = {step for step in choices if abs(step - default) > SAME_MEMORY_SHARE * default} | {default}
    if need > max(choices):
        choices.add(min(-(-need // MEMORY_STEP_ABOVE_BYTES) * MEMORY_STEP_ABOVE_BYTES, limit))
    fitting = sorted(choice for choice in choices if choice >= need)
    if not fitting:
        raise _Unfit(f"the training needs {human_memory(need)} of RAM, a node gives {human_memory(limit)}")
    return fitting


def _memory_limit(partition: Partition, node: Node) -> int:
    limits = [node.memory_bytes]
    if partition.max_memory_per_node_bytes is not None:
        limits.append(partition.max_memory_per_node_bytes)
    if partition.max_memory_per_cpu_bytes is not None:
        limits.append(partition.max_memory_per_cpu_bytes * _cpu_limit(partition, node))
    return min(limits)


def _default_memory(partition: Partition, gpus: int, cpus: int) -> int | None:
    if partition.default_memory_per_gpu_bytes is not None:
        return partition.default_memory_per_gpu_bytes * gpus
    if partition.default_memory_per_cpu_bytes is not None:
        return partition.default_memory_per_cpu_bytes * cpus
    return partition.default_memory_per_node_bytes


def _common_features(members: list[tuple[Node, Gres]]) -> tuple[str, ...]:
    first = members[0][0].features
    return tuple(feature for feature in first if all(feature in node.features for node, _ in members))
