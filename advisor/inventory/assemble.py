"""Records to Inventory: what each thing is called, what it is, and whether this user may use it. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from advisor.inventory.access import (
    allowed_accounts,
    allowed_qos,
    barred_reason,
    default_association,
    default_qos,
    limits,
)
from advisor.inventory.catalogue import Catalogue
from advisor.inventory.model import Gres, Inventory, Node, Partition
from advisor.inventory.node_state import unavailable_reason
from advisor.inventory.records import AssociationRecord, ClusterRecords, ConfigRecord, NodeRecord, PartitionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Whose rights count. ``account`` and ``qos`` are those that the job names, None for the user's defaults."""

    user: str
    groups: Collection[str] = ()
    account: str | None = None
    qos: str | None = None


def assemble(records: ClusterRecords, catalogue: Catalogue, who: Who) -> Inventory:
    """Make the Inventory that this user can use from what Slurm said."""
    records = replace(records, associations=_associations_here(records))
    nodes = {record.name: _node(record, catalogue) for record in records.nodes}
    members: dict[str, list[Node]] = {}
    for record in records.nodes:
        for partition in record.partitions:
            members.setdefault(partition, []).append(nodes[record.name])
    default = default_association(records.associations or ())
    versions = [record.slurm_version for record in records.nodes if record.slurm_version]
    return Inventory(
        cluster_name=records.config.cluster_name,
        backend=records.backend,
        partitions=tuple(
            _partition(partition, members.get(partition.name, ()), records, who) for partition in records.partitions
        ),
        slurm_version=records.config.slurm_version or max(versions, default=None),
        user=who.user,
        account=None if default is None else default.account,
        qos=default_qos(records.associations or ()),
    )


def _node(record: NodeRecord, catalogue: Catalogue) -> Node:
    names = tuple(gres_type for gres_type, _ in record.gres if gres_type is not None)
    return Node(
        name=record.name,
        cpus=record.cpus,
        memory_bytes=record.memory_bytes,
        gres=tuple(
            Gres(
                gres_type=gres_type,
                count=count,
                # The other GPUs of a node tell which GPU a bare MIG profile such as 1g.10gb is cut from.
                gpu=catalogue.identify(gres_type, features=record.features + tuple(n for n in names if n != gres_type)),
                idle=_idle(record, gres_type, count),
            )
            for gres_type, count in record.gres
        ),
        features=record.features,
        state="+".join(record.state),
        unavailable_reason=unavailable_reason(record.state, record.reason),
    )


def _idle(record: NodeRecord, gres_type: str | None, count: int) -> int | None:
    if record.gres_used is None:
        return None
    used = dict(record.gres_used)
    if gres_type not in used and len(record.gres) == 1:
        return max(0, count - sum(used.values()))
    return max(0, count - used.get(gres_type, 0))


def _partition(record: PartitionRecord, nodes: Sequence[Node], records: ClusterRecords, who: Who) -> Partition:
    associations = records.associations
    bounds = limits(record, records, account=who.account, qos=who.qos)
    memory_set = (record.default_memory_per_node_bytes, record.default_memory_per_cpu_bytes)
    config = records.config if memory_set == (None, None) else ConfigRecord(cluster_name="")
    return Partition(
        name=record.name,
        nodes=tuple(nodes),
        is_default=record.is_default,
        max_time_s=bounds.max_time_s,
        default_time_s=record.default_time_s,
        max_nodes=record.max_nodes,
        max_memory_per_node_bytes=_smaller(record.max_memory_per_node_bytes, records.config.max_memory_per_node_bytes),
        default_memory_per_node_bytes=record.default_memory_per_node_bytes or config.default_memory_per_node_bytes,
        default_memory_per_cpu_bytes=record.default_memory_per_cpu_bytes or config.default_memory_per_cpu_bytes,
        default_memory_per_gpu_bytes=record.default_memory_per_gpu_bytes,
        billing_weights=record.billing_weights,
        barred_reason=barred_reason(
            record,
            user=who.user,
            groups=who.groups,
            associations=associations,
            account_needed=bool(records.config.enforce),
        ),
        min_nodes=record.min_nodes,
        max_cpus_per_node=record.max_cpus_per_node,
        max_memory_per_cpu_bytes=_smaller(record.max_memory_per_cpu_bytes, records.config.max_memory_per_cpu_bytes),
        default_cpus_per_gpu=record.default_cpus_per_gpu,
        max_gpus_per_job=bounds.max_gpus_per_job,
        allowed_accounts=allowed_accounts(record, associations) if associations else None,
        allowed_qos=allowed_qos(record, associations) if associations else None,
        hidden=record.hidden,
    )


def _associations_here(records: ClusterRecords) -> tuple[AssociationRecord, ...] | None:
    """The user's associations with this cluster: one accounting database may keep those of several."""
    if records.associations is None:
        return None
    here = records.config.cluster_name.lower()
    return tuple(a for a in records.associations if a.cluster.lower() == here)


def _smaller(left: int | None, right: int | None) -> int | None:
    return min((value for value in (left, right) if value is not None), default=None)
