"""The commands backend: one query of each kind to Slurm's own commands, and their answers as records."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from advisor.errors import SlurmCommandFailed, SlurmNotFound
from advisor.inventory.records import AssociationRecord, ClusterRecords, ConfigRecord, QosRecord
from advisor.inventory.sacctmgr import QOS_COLUMNS, association_columns, parse_associations, parse_qos
from advisor.inventory.scontrol import parse_config, parse_nodes, parse_partitions

BACKEND = "commands"
Run = Callable[..., str]
# sacctmgr tries a dead slurmdbd for long; the inventory stands without accounts, so it is not waited for.
ACCOUNTING_TIMEOUT_S = 5.0


def read_with_commands(run: Run, *, user: str) -> ClusterRecords:
    """Ask Slurm's commands once each: configuration, nodes, partitions, the user's associations, QOS.

    Args:
        run: runs a command and returns its stdout, such as ``advisor.slurm.run``; it is called from several threads,
            for slurmdbd takes its time.
        user: whose associations to ask for.

    Raises:
        SlurmNotFound: no scontrol on PATH.
        SlurmCommandFailed: the controller does not answer.
        InventoryError: an answer is not understood.
    """
    config = ask_config(run)
    with ThreadPoolExecutor(max_workers=2) as pool:
        nodes = pool.submit(run, "scontrol", "--details", "--oneliner", "--all", "show", "node")
        partitions = pool.submit(run, "scontrol", "--oneliner", "--all", "show", "partition")
        associations, qos = ask_accounting(run, config, user=user)
        return ClusterRecords(
            backend=BACKEND,
            config=config,
            nodes=parse_nodes(nodes.result()),
            partitions=parse_partitions(partitions.result()),
            associations=associations,
            qos=qos,
        )


def ask_config(run: Run) -> ConfigRecord:
    """Ask for the cluster's configuration."""
    return parse_config(run("scontrol", "show", "config"))


def ask_accounting(
    run: Run, config: ConfigRecord, *, user: str
) -> tuple[tuple[AssociationRecord, ...] | None, tuple[QosRecord, ...] | None]:
    """Ask the accounting database for the user's associations and for QOS limits; None where it does not answer.

    QOS limits are asked for only where Slurm enforces them.
    """
    if not config.has_accounting:
        return None, None
    quiet = ("sacctmgr", "--noheader", "--parsable2", "--readonly", "show")
    columns = ",".join(association_columns(config.slurm_version))
    own = ("user", "where", f"name={user}", "withassoc", f"format={columns}")
    every = ("qos", f"format={','.join(QOS_COLUMNS)}")
    with ThreadPoolExecutor(max_workers=1) as pool:
        limits = pool.submit(run, *quiet, *every, timeout_s=ACCOUNTING_TIMEOUT_S) if config.enforce else None
        try:
            associations = parse_associations(run(*quiet, *own, timeout_s=ACCOUNTING_TIMEOUT_S))
            return associations, None if limits is None else parse_qos(limits.result())
        except (SlurmNotFound, SlurmCommandFailed):
            return None, None
