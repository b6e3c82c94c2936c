"""A described cluster: a TOML file in Slurm's own formats in place of a Slurm.

Every mistake is a ConfigurationError that names the file, the line and the field; see docs/examples/ for whole files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from advisor.inventory.catalogue import Catalogue
from advisor.inventory.gres import parse_gres, slurm_type
from advisor.inventory.model import Gres, Inventory, Node, Partition
from advisor.inventory.scontrol import billing_weights
from advisor.inventory.toml_table import Table, read_table

BACKEND = "described"
# What a partition or a GRES type may be called so that it can stand in an #SBATCH line.
_SLURM_NAME = re.compile(r"[\w.+\-/@=]+")
_CLUSTER_FIELDS = ("name", "account", "partitions")
_PARTITION_FIELDS = (
    "name", "default", "max_time", "default_time", "max_nodes", "min_nodes", "max_memory_per_node",
    "default_memory_per_node", "default_memory_per_cpu", "default_memory_per_gpu", "billing_weights", "unavailable",
    "nodes",
)  # fmt: skip
_NODE_FIELDS = ("name", "count", "cpus", "memory", "gres", "features", "unavailable")


def read_described(path: Path, catalogue: Catalogue) -> Inventory:
    """Read a described cluster.

    Raises:
        ConfigurationError: the file cannot be read or has a mistake.
    """
    return _cluster(read_table(path, "cluster"), catalogue)


def _cluster(cluster: Table, catalogue: Catalogue) -> Inventory:
    cluster.only(_CLUSTER_FIELDS)
    partitions = [_partition(table, catalogue) for table in cluster.tables("partitions")]
    if not partitions:
        raise cluster.mistake("partitions", "a cluster needs at least one [[partitions]]")
    _no_double_names(cluster, partitions)
    return Inventory(
        cluster_name=cluster.text("name", "described"),
        backend=BACKEND,
        partitions=tuple(partitions),
        account=cluster.optional_text("account"),
    )


def _no_double_names(cluster: Table, partitions: Sequence[Partition]) -> None:
    seen: set[str] = set()
    for table, partition in zip(cluster.tables("partitions"), partitions, strict=True):
        if partition.name in seen:
            raise table.mistake("name", f"there are two partitions '{partition.name}'")
        seen.add(partition.name)


def _partition(table: Table, catalogue: Catalogue) -> Partition:
    table.only(_PARTITION_FIELDS)
    name = table.text("name")
    if not _SLURM_NAME.fullmatch(name):
        raise table.mistake("name", f"'{name}' cannot be the name of a partition: letters, digits and _.+-/@= only")
    nodes: list[Node] = []
    for node_table in table.tables("nodes"):
        nodes += _nodes(node_table, name, len(nodes), catalogue)
    if not nodes:
        raise table.mistake("nodes", f"partition '{name}' needs at least one [[partitions.nodes]]")
    return Partition(
        name=name,
        nodes=tuple(nodes),
        is_default=table.flag("default"),
        max_time_s=table.time("max_time"),
        default_time_s=table.time("default_time"),
        max_nodes=table.count("max_nodes"),
        min_nodes=table.count("min_nodes") or 0,
        max_memory_per_node_bytes=table.memory("max_memory_per_node"),
        default_memory_per_node_bytes=table.memory("default_memory_per_node"),
        default_memory_per_cpu_bytes=table.memory("default_memory_per_cpu"),
        default_memory_per_gpu_bytes=table.memory("default_memory_per_gpu"),
        billing_weights=billing_weights(table.optional_text("billing_weights")),
        barred_reason=table.optional_text("unavailable"),
    )


def _nodes(table: Table, partition: str, already: int, catalogue: Catalogue) -> list[Node]:
    table.only(_NODE_FIELDS)
    features = table.words("features")
    gres = parse_gres(table.text("gres", ""))
    if table.text("gres", "") and not gres:
        raise table.mistake("gres", "no GPU in it; write for example gpu:a100:4")
    for gres_type, _ in gres:
        if gres_type is not None and not _SLURM_NAME.fullmatch(slurm_type(gres_type)):
            raise table.mistake("gres", f"'{gres_type}' can be neither a GRES type nor a GPU's name")
    count = table.count("count") or 1
    stem = table.optional_text("name") or partition
    names = [stem] if count == 1 and table.optional_text("name") else [f"{stem}{already + i + 1}" for i in range(count)]
    types = tuple(gres_type for gres_type, _ in gres if gres_type)
    gpus = tuple(
        Gres(
            gres_type=None if gres_type is None else slurm_type(gres_type),
            count=number,
            gpu=catalogue.identify(gres_type, features=features + tuple(t for t in types if t != gres_type)),
            idle=number,
        )
        for gres_type, number in gres
    )
    cpus = table.count("cpus")
    memory_bytes = table.memory("memory")
    if cpus is None or memory_bytes is None:
        missing = "cpus" if cpus is None else "memory"
        raise table.mistake(missing, "a node needs it")
    return [
        Node(
            name=name,
            cpus=cpus,
            memory_bytes=memory_bytes,
            gres=gpus,
            features=features,
            unavailable_reason=table.optional_text("unavailable"),
        )
        for name in names
    ]
