"""What Slurm says about a cluster, one record per thing, before it is judged for a user.

Both backends fill these records, and assemble.py makes the Inventory from them, so that the same cluster gives the same
Inventory whichever backend was asked. Names are Slurm's own. They are what the cache stores.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """A node as slurmctld describes it. ``gres_used`` counts GPUs in use by GRES type (None: the type without a name).

    ``gres_used`` itself is None where the use of each type could not be told.
    """

    name: str
    cpus: int
    memory_bytes: int
    gres: tuple[tuple[str | None, int], ...] = ()
    gres_used: tuple[tuple[str | None, int], ...] | None = ()
    features: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    state: tuple[str, ...] = ("UNKNOWN",)
    reason: str | None = None
    slurm_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionRecord:
    """A partition as slurmctld describes it. An ``allow_*`` of None lets all in."""

    name: str
    state: str = "UP"
    is_default: bool = False
    hidden: bool = False
    root_only: bool = False
    needs_reservation: bool = False
    allow_accounts: tuple[str, ...] | None = None
    deny_accounts: tuple[str, ...] = ()
    allow_groups: tuple[str, ...] | None = None
    allow_qos: tuple[str, ...] | None = None
    deny_qos: tuple[str, ...] = ()
    qos: str | None = None
    max_time_s: float | None = None
    default_time_s: float | None = None
    min_nodes: int = 0
    max_nodes: int | None = None
    max_cpus_per_node: int | None = None
    max_memory_per_node_bytes: int | None = None
    max_memory_per_cpu_bytes: int | None = None
    default_memory_per_node_bytes: int | None = None
    default_memory_per_cpu_bytes: int | None = None
    default_memory_per_gpu_bytes: int | None = None
    default_cpus_per_gpu: int | None = None
    billing_weights: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRecord:
    """The user's membership in one account, with the limits that it carries. ``partition`` None: any partition.

    ``lineage`` are the accounts above it and itself, outermost first; only the account itself where Slurm does not say.
    """

    cluster: str
    account: str
    is_default: bool = False
    partition: str | None = None
    qos: tuple[str, ...] = ()
    default_qos: str | None = None
    max_time_s: float | None = None
    max_gpus_per_job: int | None = None
    lineage: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QosRecord:
    """A quality of service, as far as it limits a single job."""

    name: str
    max_time_s: float | None = None
    max_gpus_per_job: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRecord:
    """What slurm.conf says for the whole cluster. ``enforce`` are the words of AccountingStorageEnforce.

    ``has_accounting`` is false where the site runs no slurmdbd.
    """

    cluster_name: str
    slurm_version: str | None = None
    has_accounting: bool = False
    enforce: tuple[str, ...] = ()
    default_memory_per_node_bytes: int | None = None
    default_memory_per_cpu_bytes: int | None = None
    max_memory_per_node_bytes: int | None = None
    max_memory_per_cpu_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRecords:
    """All that was asked. ``associations`` and ``qos`` are None where the accounting database did not answer."""

    backend: str
    config: ConfigRecord
    nodes: tuple[NodeRecord, ...]
    partitions: tuple[PartitionRecord, ...]
    associations: tuple[AssociationRecord, ...] | None = None
    qos: tuple[QosRecord, ...] | None = None
