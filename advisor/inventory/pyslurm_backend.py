"""The pyslurm backend: nodes and partitions through pyslurm (25.11's API), as the same records as the commands backend.

What pyslurm 25.11 has no attribute for is asked of the commands, once: TRESBillingWeights, the default QOS of an
association, and (only where a node has several GRES types, some of them in use) the use of each type.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from advisor.errors import SlurmError
from advisor.inventory.commands import Run, ask_accounting
from advisor.inventory.gres import parse_gres
from advisor.inventory.records import ClusterRecords, ConfigRecord, NodeRecord, PartitionRecord
from advisor.inventory.scontrol import parse_nodes, parse_partitions
from advisor.units import MIB

BACKEND = "pyslurm"
_UNLIMITED = "UNLIMITED"
GpuCounts = tuple[tuple[str | None, int], ...]


def read_with_pyslurm(pyslurm: Any, run: Run, config: ConfigRecord, *, user: str) -> ClusterRecords:
    """Load nodes and partitions through pyslurm.

    Args:
        pyslurm: the imported module.
        run: runs a command and returns its stdout, for what pyslurm does not expose.
        config: the cluster's configuration, already asked for.
        user: whose associations to ask for.

    Raises:
        SlurmError: the controller does not answer.
    """
    try:
        nodes = tuple(node_record(node) for node in pyslurm.Nodes.load().values())
        partitions = tuple(partition_record(partition) for partition in pyslurm.Partitions.load().values())
    except pyslurm.RPCError as exc:
        raise SlurmError(
            f"pyslurm could not read the cluster: {exc}", hint="Is slurmctld up? Try: scontrol ping"
        ) from exc
    weights = {
        record.name: record.billing_weights
        for record in parse_partitions(run("scontrol", "--oneliner", "--all", "show", "partition"))
    }
    associations, qos = ask_accounting(run, config, user=user)
    return ClusterRecords(
        backend=BACKEND,
        config=config,
        nodes=_with_use_by_type(nodes, run),
        partitions=tuple(_replace_weights(partition, weights) for partition in partitions),
        associations=associations,
        qos=qos,
    )


def node_record(node: Any) -> NodeRecord:
    """A ``pyslurm.Node`` as a record. Memory attributes are in MiB; GRES are a dict of ``name[:type]`` to a count."""
    gres = _gres(node.configured_gres)
    return NodeRecord(
        name=node.name,
        cpus=node.effective_cpus or node.total_cpus,
        memory_bytes=(node.real_memory - (node.memory_reserved_for_system or 0)) * MIB,
        gres=gres,
        gres_used=_used(gres, node.allocated_gres or {}),
        features=tuple(node.active_features or ()),
        partitions=tuple(node.partitions or ()),
        state=tuple((node.state or "UNKNOWN").upper().split("+")),
        reason=(node.reason or "").strip() or None,
        slurm_version=node.slurm_version or None,
    )


def partition_record(partition: Any) -> PartitionRecord:
    """A ``pyslurm.Partition`` as a record, all but its billing weights. Memory is in MiB, times are in minutes."""
    return PartitionRecord(
        name=partition.name,
        state=partition.state,
        is_default=bool(partition.is_default),
        hidden=bool(partition.is_hidden),
        root_only=bool(partition.is_root_only),
        needs_reservation=bool(partition.requires_reservation),
        allow_accounts=_allowed(partition.allowed_accounts),
        # pyslurm 25.11 says ["ALL"] where nobody is denied.
        deny_accounts=_allowed(partition.denied_accounts) or (),
        allow_groups=_allowed(partition.allowed_groups),
        allow_qos=_allowed(partition.allowed_qos),
        deny_qos=_allowed(partition.denied_qos) or (),
        qos=partition.qos or None,
        max_time_s=_seconds(partition.max_time),
        default_time_s=_seconds(partition.default_time),
        min_nodes=_number(partition.min_nodes) or 0,
        max_nodes=_number(partition.max_nodes),
        max_cpus_per_node=_number(partition.max_cpus_per_node),
        max_memory_per_node_bytes=_bytes(partition.max_memory_per_node),
        max_memory_per_cpu_bytes=_bytes(partition.max_memory_per_cpu),
        default_memory_per_node_bytes=_bytes(partition.default_memory_per_node),
        default_memory_per_cpu_bytes=_bytes(partition.default_memory_per_cpu),
        default_memory_per_gpu_bytes=_bytes(partition.default_memory_per_gpu),
        default_cpus_per_gpu=_number(partition.default_cpus_per_gpu),
    )


def _gres(configured: dict[str, Any] | None) -> GpuCounts:
    return parse_gres(",".join(f"{name}:{count}" for name, count in (configured or {}).items()))


def _used(
    gres: tuple[tuple[str | None, int], ...], allocated: dict[str, Any]
) -> tuple[tuple[str | None, int], ...] | None:
    """Use by type, from the node's allocated TRES: a total, and a count by type where the site tracks its types.

    None where only the total is known and the node has several types.
    """
    by_name = {name.removeprefix("gpu:"): int(count) for name, count in allocated.items() if name.startswith("gpu:")}
    total = int(allocated.get("gpu", sum(by_name.values())))
    if total == 0:
        return tuple((gres_type, 0) for gres_type, _ in gres)
    if len(gres) == 1:
        return ((gres[0][0], total),)
    if sum(by_name.values()) == total:
        return tuple((gres_type, by_name.get(gres_type or "", 0)) for gres_type, _ in gres)
    return None


def _with_use_by_type(nodes: tuple[NodeRecord, ...], run: Run) -> tuple[NodeRecord, ...]:
    if all(node.gres_used is not None for node in nodes):
        return nodes
    asked = {
        node.name: node.gres_used
        for node in parse_nodes(run("scontrol", "--details", "--oneliner", "--all", "show", "node"))
    }
    return tuple(replace(node, gres_used=asked.get(node.name)) if node.gres_used is None else node for node in nodes)


def _replace_weights(partition: PartitionRecord, weights: dict[str, tuple[tuple[str, float], ...]]) -> PartitionRecord:
    return replace(partition, billing_weights=weights.get(partition.name, ()))


def _allowed(names: Iterable[str] | None) -> tuple[str, ...] | None:
    listed = tuple(names or ())
    return None if not listed or [name.upper() for name in listed] == ["ALL"] else listed


def _number(value: Any) -> int | None:
    return None if value is None or value == _UNLIMITED else int(value)


def _bytes(value: Any) -> int | None:
    return (_number(value) or 0) * MIB or None


def _seconds(minutes: Any) -> float | None:
    count = _number(minutes)
    return None if count is None else count * 60.0
