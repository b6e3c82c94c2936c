"""Recorded answers become the same Inventory under every recorded Slurm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advisor.inventory.assemble import Who, assemble
from advisor.inventory.catalogue import load_catalogue
from advisor.inventory.commands import read_with_commands
from advisor.inventory.model import Inventory
from advisor.units import MIB
from tests.inventory.recorded import CLUSTER_NAMES, VERSIONS, RecordedSlurm


def _inventory(version: str, user: str) -> Inventory:
    cluster = CLUSTER_NAMES[version]
    slurm = RecordedSlurm(
        version,
        {
            "alice": f"{cluster}|bigml||small|normal||||\n{cluster}|small||small|normal||||\n"
            "other|big||small|long||||\n",
            "bob": f"{cluster}|small||small|normal||||\n",
        },
    )
    return assemble(read_with_commands(slurm, user=user), load_catalogue(), Who(user=user))


@pytest.mark.parametrize("version", VERSIONS)
def test_each_partition_holds_its_nodes_and_gpus(version: str) -> None:
    """A node of two partitions is in both; a partition with two kinds of GPU has both."""
    partitions = {partition.name: partition for partition in _inventory(version, "alice").partitions}

    assert ["g750"] == [n.name for n in partitions["gtx"].nodes] == [n.name for n in partitions["down"].nodes]
    assert {
        "c3090n1": ("NVIDIA GeForce RTX 3090", 0),
        "r3070n1": ("NVIDIA GeForce RTX 3070", 0),
        "r3070n2": ("NVIDIA GeForce RTX 3070", 1),
    } == {node.name: (node.gres[0].gpu.name, node.gres[0].idle) for node in partitions["rtx"].nodes}
    assert [
        ("NVIDIA A100-SXM4-80GB", 4, 2),
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", 7, 7),
    ] == [(gres.gpu.name, gres.count, gres.idle) for gres in partitions["ampere"].nodes[0].gres]
    assert () == partitions["debug"].nodes[0].gres


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_down_drained_or_barred_says_why(version: str) -> None:
    """Bob has no account for hopper; alice has one, though not her default."""
    alice = {partition.name: partition for partition in _inventory(version, "alice").partitions}
    bob = {partition.name: partition for partition in _inventory(version, "bob").partitions}

    assert {"down": "partition is down"} == {p.name: p.barred_reason for p in alice.values() if p.barred_reason}
    assert "account small may not use it" == bob["hopper"].barred_reason
    assert ("bigml",) == alice["hopper"].allowed_accounts
    assert ["drained: fan broken"] == [n.unavailable_reason for n in bob["rtx"].nodes if n.unavailable_reason]
    assert ["hidden"] == [p.name for p in bob.values() if p.hidden]


def test_associations_of_another_cluster_do_not_count() -> None:
    """One slurmdbd may serve several clusters."""
    inventory = _inventory("25.11.7", "alice")

    assert ("mini25", "small", "normal", "25.11.7") == (
        inventory.cluster_name,
        inventory.account,
        inventory.qos,
        inventory.slurm_version,
    )


def test_both_versions_give_the_same_partitions() -> None:
    """The two clusters were set up alike, so that only their names, versions and a PLANNED node may differ."""
    old, new = (_inventory(version, "bob") for version in VERSIONS)

    def alike(inventory: Inventory) -> Inventory:
        return replace(
            inventory,
            cluster_name="",
            slurm_version=None,
            partitions=tuple(
                replace(p, nodes=tuple(replace(n, state=n.state.split("+")[0]) for n in p.nodes))
                for p in inventory.partitions
            ),
        )

    assert alike(old) == alike(new)


def test_the_clusters_memory_default_holds_where_the_partition_has_none() -> None:
    """DefMemPerCPU of slurm.conf counts for a partition without a default of its own, and for no other."""
    records = read_with_commands(RecordedSlurm("25.11.7"), user="bob")
    config = replace(records.config, default_memory_per_node_bytes=500 * MIB, max_memory_per_node_bytes=9000 * MIB)
    inventory = assemble(replace(records, config=config), load_catalogue(), Who(user="bob"))
    partitions = {partition.name: partition for partition in inventory.partitions}

    assert 500 * MIB == partitions["ampere"].default_memory_per_node_bytes
    assert partitions["rtx"].default_memory_per_node_bytes is None
    assert 9000 * MIB == partitions["rtx"].max_memory_per_node_bytes


def test_without_accounting_nobody_is_barred_by_account() -> None:
    """A dead slurmdbd costs the account rules, not the inventory."""
    slurm = RecordedSlurm("25.11.7")
    inventory = assemble(read_with_commands(slurm, user="bob"), load_catalogue(), Who(user="bob"))

    assert inventory.account is None
    assert ["down"] == [partition.name for partition in inventory.partitions if partition.barred_reason]
