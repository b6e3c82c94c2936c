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
from advisor.units import MIB
from tests.inventory.recorded import RecordedSlurm
from tests.inventory.replayed_pyslurm import ReplayedPyslurm

ASSOCIATIONS = {"alice": "mini25|bigml||small|normal||||\nmini25|small||small|normal||||\n"}


def test_both_backends_give_the_same_inventory() -> None:
    """Nothing but the backend's own name tells them apart."""
    slurm = RecordedSlurm("25.11.7", ASSOCIATIONS)
    by_commands = read_with_commands(slurm, user="alice")
    by_pyslurm = read_with_pyslurm(ReplayedPyslurm("25.11.7.json"), slurm, ask_config(slurm), user="alice")
    alice = Who(user="alice")

    assert assemble(by_commands, load_catalogue(), alice) == replace(
        assemble(by_pyslurm, load_catalogue(), alice), backend="commands"
    )
    assert "pyslurm" == by_pyslurm.backend


def test_a_controller_that_does_not_answer_is_a_slurm_error() -> None:
    """Pyslurm's own exception stays at its edge."""
    slurm = RecordedSlurm("25.11.7")

    with pytest.raises(SlurmError, match="Unable to contact slurm controller"):
        read_with_pyslurm(ReplayedPyslurm(None), slurm, ask_config(slurm), user="alice")


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
    content = ReplayedPyslurm("25.11.7.json").Partitions.load()["hopper"]

    assert ((), ("bigml",)) == (partition_record(content).deny_accounts, partition_record(content).allow_accounts)
