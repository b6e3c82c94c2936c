"""What the inventory and the placements say is what a real Slurm does."""

from __future__ import annotations

import pytest

from advisor.errors import SlurmCommandFailed
from advisor.inspection.workload import Workload
from advisor.inventory.catalogue import load_catalogue
from advisor.inventory.model import Inventory
from advisor.inventory.read import read_inventory
from advisor.placement.candidates import candidate_placements
from advisor.placement.placement import Candidates, Placement
from advisor.request.placement_request import Request
from advisor.units import slurm_memory
from tests.real_slurm import config
from tests.real_slurm.cluster import Cluster

pytestmark = pytest.mark.real_slurm


def inventory_of(cluster: Cluster, user: str, *, ask_nodes_in: tuple[str, ...] = ()) -> Inventory:
    """The cluster as this user reads it, with the user's own rights."""

    def run(*argv: str, timeout_s: float = 15.0) -> str:
        prefix = ask_nodes_in if argv[-1] == "node" else ()
        done = cluster.run_as(user, [*prefix, *argv], timeout_s=timeout_s)
        if done.returncode != 0:
            raise SlurmCommandFailed(" ".join(argv), done.returncode, done.stderr)
        return done.stdout

    return read_inventory(
        described=None, backend="commands", user=user, catalogue=load_catalogue(), cache_dir=None, run=run
    )


def accepts(cluster: Cluster, user: str, placement: Placement) -> bool:
    """Whether Slurm would take a job with this placement's request."""
    done = cluster.run_as(
        user,
        [
            "sbatch", "--test-only", f"--partition={placement.partition}",
            f"--gres=gpu:{placement.gres_type}:{placement.gpus // placement.nodes}", f"--nodes={placement.nodes}",
            f"--mem={slurm_memory(placement.memory_bytes)}", f"--cpus-per-task={placement.cpus}", "--wrap=true",
        ],
    )  # fmt: skip
    return done.returncode == 0


def test_the_inventory_is_the_cluster_that_was_configured(cluster: Cluster) -> None:
    """Every node with its memory and GPUs, the drained one with its reason, the users' default accounts."""
    inventory = inventory_of(cluster, "alice")
    nodes = {node.name: node for partition in inventory.partitions for node in partition.nodes}

    assert {node.name: (node.cpus, node.memory_mib * 1024**2, node.gpus) for node in config.NODES} == {
        name: (node.cpus, node.memory_bytes, tuple((gres.gres_type, gres.count) for gres in node.gres))
        for name, node in nodes.items()
    }
    assert {config.DRAINED_NODE: "drained: fan broken"} == {
        name: node.unavailable_reason for name, node in nodes.items() if node.unavailable_reason
    }
    assert (config.CLUSTER_NAME, "bigml") == (inventory.cluster_name, inventory.account)
    assert [] == [gres.gpu.name for node in nodes.values() for gres in node.gres if not gres.gpu.known]


@pytest.mark.parametrize("user", config.USERS)
def test_every_placement_is_one_that_slurm_accepts(cluster: Cluster, user: str) -> None:
    """Partition, GRES type, memory and CPUs of each placement pass slurmctld's own test."""
    candidates = candidate_placements(Workload(), inventory_of(cluster, user), Request())
    refused = [placement for placement in candidates.placements if not accepts(cluster, user, placement)]

    assert [] == refused
    assert {"gtx", "rtx", "ampere"} <= {placement.partition for placement in candidates.placements}


def test_what_is_barred_is_what_slurm_refuses(cluster: Cluster) -> None:
    """The account small may not use hopper: both say so of bob; alice has another."""
    bob = {rejection.partition: rejection.reason for rejection in _candidates(cluster, "bob").rejections}
    hopper = [placement for placement in _candidates(cluster, "alice").placements if placement.partition == "hopper"]

    assert "account small may not use it" == bob["hopper"]
    assert hopper
    assert accepts(cluster, "alice", hopper[0])
    assert not accepts(cluster, "bob", hopper[0])


def _candidates(cluster: Cluster, user: str) -> Candidates:
    return candidate_placements(Workload(), inventory_of(cluster, user), Request())


def test_gpus_in_use_are_not_idle(cluster: Cluster) -> None:
    """A running job's GPUs are taken off the count of its own type."""
    before = _idle(inventory_of(cluster, "alice"))
    # The nodes are asked about from inside the job, so that it runs at that moment and nothing need be waited for.
    job = ("srun", "--partition=ampere", "--gres=gpu:nvidia_a100-sxm4-80gb:3")
    after = _idle(inventory_of(cluster, "alice", ask_nodes_in=job))

    assert 3 == before["nvidia_a100-sxm4-80gb"] - after["nvidia_a100-sxm4-80gb"]
    assert before["nvidia_a100-sxm4-80gb_1g.10gb"] == after["nvidia_a100-sxm4-80gb_1g.10gb"]


def _idle(inventory: Inventory) -> dict[str, int]:
    (node,) = next(partition.nodes for partition in inventory.partitions if partition.name == "ampere")
    return {gres.gres_type or "": gres.idle or 0 for gres in node.gres}
