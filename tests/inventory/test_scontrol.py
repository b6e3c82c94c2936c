"""scontrol's answers become the same records under every recorded Slurm."""

from __future__ import annotations

import pytest

from advisor.errors import InventoryError
from advisor.inventory.scontrol import billing_weights, parse_config, parse_nodes, parse_partitions
from advisor.units import MIB
from tests.inventory.recorded import CLUSTER_NAMES, TEST_CLUSTER, VERSIONS, answer
from tests.real_slurm import config

NODE = "NodeName=n1 CPUTot=8 RealMemory=1000 State=IDLE Partitions=p"


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_nodes_are_read_whole(version: str) -> None:
    """A node's GPUs, their use, features, partitions, memory (MiB there, bytes here) and state are read."""
    nodes = {node.name: node for node in parse_nodes(answer(version, "node"))}

    assert {"a100n1", "c3090n1", "cpun1", "g750", "h100n1", "r3070n1", "r3070n2"} == set(nodes)
    mixed = nodes["a100n1"]
    assert (("nvidia_a100-sxm4-80gb", 4), ("nvidia_a100-sxm4-80gb_1g.10gb", 7)) == mixed.gres
    assert (("nvidia_a100-sxm4-80gb", 2), ("nvidia_a100-sxm4-80gb_1g.10gb", 0)) == mixed.gres_used
    assert ("ampere", "nvlink") == mixed.features
    assert 512000 * MIB == mixed.memory_bytes
    assert 64 == mixed.cpus
    assert version == mixed.slurm_version
    assert ("gtx", "down") == nodes["g750"].partitions
    assert () == nodes["cpun1"].gres
    assert () == nodes["cpun1"].features


@pytest.mark.parametrize("version", VERSIONS)
def test_a_drained_nodes_reason_is_the_administrators_words(version: str) -> None:
    """The reason holds spaces and ends in Slurm's [user@time], which is not the administrator's."""
    (node,) = (node for node in parse_nodes(answer(version, "node")) if node.name == "r3070n2")

    assert (("IDLE", "DRAIN"), "fan broken") == (node.state, node.reason)


@pytest.mark.parametrize("version", TEST_CLUSTER)
def test_every_slurm_tells_the_same_of_the_same_cluster(version: str) -> None:
    """24.11 and 26.05 have other fields than 22.05, and the records are what config.py configured."""
    nodes = {node.name: node for node in parse_nodes(answer(version, "node"))}
    partitions = {partition.name: partition for partition in parse_partitions(answer(version, "partition"))}
    cluster = parse_config(answer(version, "config"))

    assert {node.name: (node.cpus, node.memory_mib * MIB, node.gpus) for node in config.NODES} == {
        name: (node.cpus, node.memory_bytes, node.gres) for name, node in nodes.items()
    }
    assert {"fan broken"} == {node.reason for node in nodes.values() if node.reason}
    assert {"hopper": ("bigml",)} == {p.name: p.allow_accounts for p in partitions.values() if p.allow_accounts}
    assert {"gtx": 8000 * MIB} == {
        p.name: p.default_memory_per_gpu_bytes for p in partitions.values() if p.default_memory_per_gpu_bytes
    }
    assert (["hidden"], ["down"]) == (
        [p.name for p in partitions.values() if p.hidden],
        [p.name for p in partitions.values() if p.state != "UP"],
    )
    assert (("associations", "limits", "qos"), version.removesuffix("-enforced")) == (
        cluster.enforce,
        cluster.slurm_version,
    )


def test_values_with_spaces_and_equal_signs_do_not_break_a_node() -> None:
    """OS, Reason, Comment and Extra are free text; a key=value inside a reason is not a field."""
    (node,) = parse_nodes(
        "NodeName=n1 OS=Linux 6.1 #1 SMP State=DOWN RealMemory=10 CPUTot=2 Partitions=p Version=24.11.3 "
        "Reason=State=broken, RealMemory=low [root@2026-11-21T05:02:12] Comment=ask Bob Gres=gpu:9"
    )

    assert ("State=broken, RealMemory=low", ("DOWN",), 10 * MIB) == (node.reason, node.state, node.memory_bytes)
    assert () == node.gres


def test_without_details_the_use_of_gpus_is_not_known() -> None:
    """GresUsed is there only with --details; its absence is no sign of idle GPUs."""
    (node,) = parse_nodes(f"{NODE} Gres=gpu:a100:4")

    assert node.gres_used is None


def test_memory_and_cpus_kept_for_the_system_are_not_offered() -> None:
    """MemSpecLimit and the CPUs beyond CPUEfctv are not the jobs'."""
    (node,) = parse_nodes("NodeName=n1 CPUEfctv=62 CPUTot=64 RealMemory=1000 MemSpecLimit=200 State=IDLE")

    assert (62, 800 * MIB) == (node.cpus, node.memory_bytes)


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_partitions_are_read_whole(version: str) -> None:
    """Limits, defaults, access rules and billing weights of a partition are read; ALL and UNLIMITED are no limits."""
    partitions = {partition.name: partition for partition in parse_partitions(answer(version, "partition"))}

    assert ["debug"] == [name for name, partition in partitions.items() if partition.is_default]
    assert ("bigml",) == partitions["hopper"].allow_accounts
    assert partitions["rtx"].allow_accounts is None
    assert (1800.0, None) == (partitions["debug"].max_time_s, partitions["down"].max_time_s)
    assert 8000 * MIB == partitions["gtx"].default_memory_per_gpu_bytes
    assert (2000 * MIB, 120000 * MIB) == (
        partitions["rtx"].default_memory_per_cpu_bytes,
        partitions["rtx"].max_memory_per_node_bytes,
    )
    assert (("cpu", 1.0), ("mem", 0.25), ("gres/gpu", 16.0)) == partitions["ampere"].billing_weights
    assert ("DOWN", "UP") == (partitions["down"].state, partitions["rtx"].state)
    assert ["hidden"] == [name for name, partition in partitions.items() if partition.hidden]


def test_rare_partition_fields_are_read() -> None:
    """Deny lists, groups, QOS, node counts and a partition's own QOS, as 26.05 writes them too."""
    (partition,) = parse_partitions(
        "PartitionName=p AllowGroups=ml,vision DenyAccounts=guests,test DenyQos=long QoS=gpu_limits MinNodes=2 "
        "MaxNodes=4 MaxCPUsPerNode=16 RootOnly=YES ReqResv=YES State=INACTIVE "
        "JobDefaults=DefCpuPerGPU=6,DefMemPerGPU=4000 "
        "DefaultTime=01:00:00 MaxMemPerCPU=4000"
    )

    assert ("ml", "vision") == partition.allow_groups
    assert (("guests", "test"), ("long",)) == (partition.deny_accounts, partition.deny_qos)
    assert ("gpu_limits", 2, 4, 16) == (
        partition.qos,
        partition.min_nodes,
        partition.max_nodes,
        partition.max_cpus_per_node,
    )
    assert (True, True, "INACTIVE") == (partition.root_only, partition.needs_reservation, partition.state)
    assert (6, 4000 * MIB) == (partition.default_cpus_per_gpu, partition.default_memory_per_gpu_bytes)
    assert (3600.0, 4000 * MIB) == (partition.default_time_s, partition.max_memory_per_cpu_bytes)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_configuration_tells_cluster_version_and_accounting(version: str) -> None:
    """What is not enforced does not bind, and 0 or UNLIMITED memory is no limit."""
    config = parse_config(answer(version, "config"))

    assert (CLUSTER_NAMES[version], version, True, ()) == (
        config.cluster_name,
        config.slurm_version,
        config.has_accounting,
        config.enforce,
    )
    assert config.default_memory_per_node_bytes is None


def test_memory_weights_are_per_gib_whatever_the_suffix() -> None:
    """Slurm bills MiB where a Mem weight has no suffix; 0.25G and 0.000244140625 are the same price."""
    assert (("mem", 0.25),) == billing_weights("Mem=0.25G") == billing_weights("Mem=0.000244140625")


@pytest.mark.parametrize("text", ["slurm_load_node error: x", "NodeName=n1 CPUTot=8 RealMemory=lots State=IDLE"])
def test_an_answer_that_is_no_node_is_an_error_not_an_empty_cluster(text: str) -> None:
    """A format that we do not know is said, so that nobody reads it as a cluster without GPUs."""
    with pytest.raises(InventoryError, match="not understood"):
        parse_nodes(f"{NODE}\n{text}\n")
