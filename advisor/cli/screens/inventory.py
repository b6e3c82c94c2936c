"""The cluster's GPUs as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from advisor.inventory.model import Inventory
from advisor.units import human_duration, human_memory
from advisor.workflows.partition_gpus import PartitionGpu


def inventory_object(inventory: Inventory, rows: Sequence[PartitionGpu]) -> dict[str, object]:
    """The cluster and its GPUs as one JSON object; SI units."""
    partitions: dict[str, dict[str, object]] = {}
    for row in rows:
        partition = row.partition
        shown = partitions.setdefault(
            partition.name,
            {
                "name": partition.name,
                "is_default": partition.is_default,
                "max_time_s": partition.max_time_s,
                "max_nodes": partition.max_nodes,
                "max_memory_per_node_bytes": partition.max_memory_per_node_bytes,
                "allowed_accounts": partition.allowed_accounts,
                "barred_reason": partition.barred_reason,
                "gpus": [],
            },
        )
        gpus = shown["gpus"]
        if isinstance(gpus, list):
            gpus.append(
                {
                    "gres_type": row.gres_type,
                    "count": row.count,
                    "usable": row.usable,
                    "idle": row.idle,
                    "model": asdict(row.gpu),
                    "nodes": [
                        {
                            "name": node.name,
                            "gpus": gres.count,
                            "cpus": node.cpus,
                            "memory_bytes": node.memory_bytes,
                            "state": node.state,
                            "unavailable_reason": node.unavailable_reason,
                        }
                        for node, gres in row.members
                    ],
                    "reason": row.reason,
                }
            )
    return {
        "cluster": inventory.cluster_name,
        "backend": inventory.backend,
        "slurm_version": inventory.slurm_version,
        "user": inventory.user,
        "account": inventory.account,
        "partitions": list(partitions.values()),
    }


def print_inventory(inventory: Inventory, rows: Sequence[PartitionGpu], *, show_all: bool) -> None:
    """Print a table on stdout; ``show_all`` adds why a GPU cannot be used."""
    from rich.console import Console  # noqa: PLC0415 (takes longer to import than --json takes to answer)
    from rich.table import Table  # noqa: PLC0415 (slow to load)
    from rich.text import Text  # noqa: PLC0415 (slow to load)

    # Rows are never folded, as with Slurm's own commands: grep and awk see them whole, a narrow terminal wraps them.
    console = Console(highlight=False, width=10_000)
    version = f", Slurm {inventory.slurm_version}" if inventory.slurm_version else ""
    account = f", account {inventory.account}" if inventory.account else ""
    console.print(Text(f"Cluster {inventory.cluster_name}{version}, read by {inventory.backend}{account}"))
    if not rows:
        more = "" if show_all else "; see all with: gsinfo --all"
        console.print(Text(f"No partition with GPUs that you may use{more}"))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("PARTITION", "GPU", "GRES"):
        table.add_column(title, overflow="fold")
    for title in ("GPUS", "IDLE", "NODES", "GPU MEM", "TDP", "RAM/NODE", "CPUS", "TIME"):
        table.add_column(title, justify="right", no_wrap=True)
    if show_all:
        table.add_column("NOTE", overflow="fold")
    for row in rows:
        cells = [*_cells(row), *([row.reason or row.gpu.note or ""] if show_all else [])]
        table.add_row(*(Text(cell) for cell in cells), style=None if row.reason is None else "dim")
    console.print(table)


def _cells(row: PartitionGpu) -> list[str]:
    partition, gpu = row.partition, row.gpu
    doubtful = not gpu.known or gpu.note is not None
    idle = row.idle
    nodes = [node for node, _ in row.members]
    limit = partition.max_time_s
    return [
        partition.name + ("*" if partition.is_default else ""),
        gpu.name.removeprefix("NVIDIA ") + ("?" if doubtful else ""),
        row.gres_type or "-",
        str(row.usable),
        "-" if idle is None else str(idle),
        str(sum(node.unavailable_reason is None for node in nodes)),
        "-" if gpu.memory_bytes is None else human_memory(gpu.memory_bytes),
        "-" if gpu.tdp_w is None else f"{gpu.tdp_w:.0f} W",
        _range([node.memory_bytes for node in nodes], partition.max_memory_per_node_bytes),
        "-".join(str(count) for count in sorted({min(n.cpus for n in nodes), max(n.cpus for n in nodes)})),
        "no limit" if limit is None else human_duration(limit),
    ]


def _range(sizes: list[int], limit: int | None) -> str:
    bound = [size if limit is None else min(size, limit) for size in sizes]
    low, high = min(bound), max(bound)
    return human_memory(high) if low == high else f"{human_memory(low)}-{human_memory(high)}"
