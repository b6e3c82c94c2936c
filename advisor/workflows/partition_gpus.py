"""The GPUs of each partition: how many can be used, how many are idle, and why the others cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from advisor.inventory.model import GpuModel, Gres, Inventory, Node, Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionGpu:
    """One GPU model of one partition; ``reason`` says why it cannot be used, None where it can."""

    partition: Partition
    gpu: GpuModel
    gres_type: str | None
    members: tuple[tuple[Node, Gres], ...]
    reason: str | None

    @property
    def count(self) -> int:
        """GPUs in all."""
        return sum(gres.count for _node, gres in self.members)

    @property
    def usable(self) -> int:
        """GPUs of nodes that take jobs."""
        return sum(gres.count for gres in self._usable())

    @property
    def idle(self) -> int | None:
        """GPUs of these that no job has; None where that cannot be told."""
        idle = [gres.idle for gres in self._usable()]
        return None if None in idle else sum(count for count in idle if count is not None)

    def _usable(self) -> list[Gres]:
        return [gres for node, gres in self.members if node.unavailable_reason is None]


def partition_gpus(inventory: Inventory) -> Iterator[PartitionGpu]:
    """One for each GPU model of each partition, usable or not."""
    for partition in inventory.partitions:
        members: dict[tuple[str | None, GpuModel], list[tuple[Node, Gres]]] = {}
        for node in partition.nodes:
            for gres in node.gres:
                members.setdefault((gres.gres_type, gres.gpu), []).append((node, gres))
        for (gres_type, gpu), found in members.items():
            yield PartitionGpu(
                partition=partition,
                gpu=gpu,
                gres_type=gres_type,
                members=tuple(found),
                reason=_reason(partition, [node for node, _ in found], inventory.account),
            )


def _reason(partition: Partition, nodes: list[Node], account: str | None) -> str | None:
    if partition.barred_reason is not None:
        return partition.barred_reason
    if partition.hidden:
        return "the site hides it; name it to use it"
    if partition.allowed_accounts and account is not None and account not in partition.allowed_accounts:
        return f"not with account {account}; try --account={partition.allowed_accounts[0]}"
    reasons = [f"{node.name} {node.unavailable_reason}" for node in nodes]
    return "; ".join(reasons) if all(node.unavailable_reason for node in nodes) else None
