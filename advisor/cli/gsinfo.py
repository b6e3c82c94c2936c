"""``gsinfo``: the GPU partitions as the advisor sees them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial

import click

from advisor import slurm
from advisor.account import user_name
from advisor.cli.errors import handle_errors
from advisor.inventory.backend import BACKENDS
from advisor.inventory.model import GpuModel, Gres, Inventory, Node, Partition
from advisor.inventory.read import DEFAULT_MAX_AGE_S, default_cache_dir, read_inventory
from advisor.inventory.site_gpus import catalogue_with
from advisor.settings import load_settings
from advisor.units import human_duration, human_memory

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsinfo
    gsinfo --all                                   also what you may not use, and why
    gsinfo --json | jq '.partitions[].name'
    gsinfo --inventory docs/examples/datacentre.toml
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One GPU model of one partition; ``reason`` says why it cannot be used, None where it can."""

    partition: Partition
    gpu: GpuModel
    gres_type: str | None
    members: tuple[tuple[Node, Gres], ...]
    reason: str | None


@click.command("gsinfo", epilog=EXAMPLES)
@click.option("--inventory", metavar="FILE", help="Read a described cluster (TOML) in place of Slurm.")
@click.option("--backend", type=click.Choice(BACKENDS), help="How Slurm is asked.")
@click.option("--fresh", is_flag=True, help=f"Ask Slurm anew, whatever was read in the last {DEFAULT_MAX_AGE_S:g} s.")
@click.option("--all", "show_all", is_flag=True, help="Also show what you may not use, with the reason.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; SI units.")
@click.version_option(package_name="gsbatch")
def command(inventory: str | None, backend: str | None, *, fresh: bool, show_all: bool, as_json: bool) -> None:
    """Show the GPU partitions that you may use, as the advisor sees them.

    One line for each GPU model of each partition: how many, how many idle, what the model is, and the limits of a job.
    A GPU that is marked with "?" is unknown or was told from an ambiguous name; --all says which.
    """
    given = {"inventory": inventory, "backend": backend}
    settings = load_settings(command_line={name: value for name, value in given.items() if value is not None})
    cluster = read_inventory(
        described=settings.inventory,
        backend=settings.backend,
        user=user_name(),
        catalogue=catalogue_with(settings.gpu_catalogue),
        cache_dir=default_cache_dir(os.environ),
        max_age_s=0.0 if fresh else DEFAULT_MAX_AGE_S,
        run=partial(slurm.run, timeout_s=settings.slurm_timeout_s),
    )
    rows = [row for row in gpu_rows(cluster) if show_all or row.reason is None]
    if as_json:
        click.echo(json.dumps(_object(cluster, rows)))
    else:
        _print_table(cluster, rows, show_all=show_all)


def gpu_rows(inventory: Inventory) -> Iterator[Row]:
    """One row for each GPU model of each partition, usable or not."""
    for partition in inventory.partitions:
        members: dict[tuple[str | None, GpuModel], list[tuple[Node, Gres]]] = {}
        for node in partition.nodes:
            for gres in node.gres:
                members.setdefault((gres.gres_type, gres.gpu), []).append((node, gres))
        for (gres_type, gpu), found in members.items():
            yield Row(
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


def _usable(row: Row) -> list[Gres]:
    return [gres for node, gres in row.members if node.unavailable_reason is None]


def _idle(row: Row) -> int | None:
    idle = [gres.idle for gres in _usable(row)]
    return None if None in idle else sum(count for count in idle if count is not None)


def _object(inventory: Inventory, rows: list[Row]) -> dict[str, object]:
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
                    "count": sum(gres.count for _, gres in row.members),
                    "usable": sum(gres.count for gres in _usable(row)),
                    "idle": _idle(row),
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


def _print_table(inventory: Inventory, rows: list[Row], *, show_all: bool) -> None:
    from rich.console import Console  # noqa: PLC0415 (takes longer to import than --json takes to answer)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

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


def _cells(row: Row) -> list[str]:
    partition, gpu = row.partition, row.gpu
    doubtful = not gpu.known or gpu.note is not None
    idle = _idle(row)
    nodes = [node for node, _ in row.members]
    limit = partition.max_time_s
    return [
        partition.name + ("*" if partition.is_default else ""),
        gpu.name.removeprefix("NVIDIA ") + ("?" if doubtful else ""),
        row.gres_type or "-",
        str(sum(gres.count for gres in _usable(row))),
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


def main() -> None:
    """Run ``gsinfo``."""
    handle_errors(command, prog_name="gsinfo")


if __name__ == "__main__":
    main()
