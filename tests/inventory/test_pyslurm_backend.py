"""Through pyslurm the cluster is the same Inventory as through the commands."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from advisor.errors import SlurmError
from advisor.inventory.assemble import Who, assemble
from advisor.inventory.catalogue import load_catalogue
from advisor.inventory.commands import ask_config, read_with_commands
from advisor.inventory.pyslurm_backend import node_record, partition_record, read_with_pyslurm
from advisor.inventory.records import ClusterRecords
from advisor.units import MIB
from tests.inventory.replayed_pyslurm import CommandsMeanwhile, ReplayedPyslurm

VERSION = "25.11.7"
SLURM = CommandsMeanwhile(VERSION)


@pytest.fixture
def by_pyslurm() -> ClusterRecords:
    """The recorded cluster as the pyslurm backend reads it for alice."""
    return read_with_pyslurm(ReplayedPyslurm(VERSION), SLURM, ask_config(SLURM), user="alice")


def test_both_backends_give_the_same_records(by_pyslurm: ClusterRecords) -> None:
    """Nothing but the backend's own name tells them apart, on a cluster where few attributes have their default."""
    by_commands = read_with_commands(SLURM, user="alice")

    assert by_commands == replace(by_pyslurm, backend="commands")
    assert "pyslurm" == by_pyslurm.backend


def test_the_recorded_cluster_is_read(by_pyslurm: ClusterRecords) -> None:
    """Drained, failed and reserved nodes, limits and rights are those that were set when it was recorded."""
    nodes = {node.name: node for node in by_pyslurm.nodes}
    gtx, rtx, ampere = (
        next(item for item in by_pyslurm.partitions if item.name == name) for name in ("gtx", "rtx", "ampere")
    )

    assert (("ALLOCATED", "DRAIN"), "disk [full] @ rack 3") == (nodes["c3090n1"].state, nodes["c3090n1"].reason)
    assert (("nvidia_a100-sxm4-80gb", 2), ("nvidia_a100-sxm4-80gb_1g.10gb", 1)) == nodes["a100n1"].gres_used
    assert (None, ("small",), "short", 600.0, 2) == (
        gtx.allow_accounts, gtx.deny_accounts, gtx.qos, gtx.default_time_s, gtx.max_nodes
    )  # fmt: skip
    assert (("alice", "root"), ("short",), 4, 8000 * MIB, 12) == (
        rtx.allow_groups, rtx.deny_qos, rtx.default_cpus_per_gpu, rtx.default_memory_per_gpu_bytes,
        rtx.max_cpus_per_node,
    )  # fmt: skip
    assert (True, 4000 * MIB, 3000 * MIB, (("cpu", 1.0), ("mem", 0.25), ("gres/gpu", 16.0))) == (
        ampere.needs_reservation, ampere.max_memory_per_cpu_bytes, ampere.default_memory_per_node_bytes,
        ampere.billing_weights,
    )  # fmt: skip


def test_both_backends_give_the_same_inventory(by_pyslurm: ClusterRecords) -> None:
    """What alice may use is the same too."""
    alice = Who(user="alice", groups=("alice",))
    by_commands = read_with_commands(SLURM, user="alice")

    assert assemble(by_commands, load_catalogue(), alice) == replace(
        assemble(by_pyslurm, load_catalogue(), alice), backend="commands"
    )


def test_a_controller_that_does_not_answer_is_a_slurm_error() -> None:
    """Pyslurm's own exception stays at its edge."""
    with pytest.raises(SlurmError, match="Unable to contact slurm controller"):
        read_with_pyslurm(ReplayedPyslurm(None), SLURM, ask_config(SLURM), user="alice")


def _node(**values: object) -> SimpleNamespace:
    known = {
        "name": "n1", "configured_gres": {}, "allocated_gres": {}, "effective_cpus": 0, "total_cpus": 8,
        "real_memory": 1000, "memory_reserved_for_system": None, "active_features": [], "partitions": ["p"],
        "state": "IDLE", "reason": None, "slurm_version": "25.11.7",
    }  # fmt: skip
    return SimpleNamespace(**{**known, **values})


@pytest.mark.parametrize(
    ("configured", "allocated", "expected"),
    [
        ({"gpu:a100": 4}, {}, (("a100", 0),)),
        ({"gpu:a100": 4}, {"gpu": 3}, (("a100", 3),)),
        ({"gpu": 4}, {"gpu": 3}, ((None, 3),)),
        ({"gpu:a": 4, "gpu:b": 2}, {"gpu": 3, "gpu:a": 1, "gpu:b": 2}, (("a", 1), ("b", 2))),
        ({"gpu:a": 4, "gpu:b": 2}, {"gpu": 3}, None),
    ],
)
def test_use_by_type_is_told_where_it_can_be(
    configured: dict[str, int], allocated: dict[str, int], expected: tuple[tuple[str | None, int], ...] | None
) -> None:
    """AllocTRES counts GPUs in all, and by type only where the site tracks its types."""
    assert expected == node_record(_node(configured_gres=configured, allocated_gres=allocated)).gres_used


def test_memory_kept_for_the_system_is_not_offered() -> None:
    """As MemSpecLimit in scontrol's words."""
    record = node_record(_node(memory_reserved_for_system=200))

    assert (8, 800 * MIB) == (record.cpus, record.memory_bytes)


def test_pyslurms_all_denies_nobody() -> None:
    """Pyslurm 25.11 says ["ALL"] of an empty deny list as well as of an open allow list."""
    content = ReplayedPyslurm(VERSION).Partitions.load()["hopper"]

    assert ((), ("bigml",)) == (partition_record(content).deny_accounts, partition_record(content).allow_accounts)
