"""Every placement that Slurm could grant, and the reason for each that it could not."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from advisor.errors import InventoryError
from advisor.inspection.workload import Fact, Source, Workload
from advisor.inventory.assemble import Who, assemble
from advisor.inventory.catalogue import load_catalogue
from advisor.inventory.commands import read_with_commands
from advisor.inventory.model import Inventory, Partition
from advisor.placement.candidates import candidate_placements
from advisor.placement.placement import Candidates
from advisor.request.placement_request import Request
from advisor.units import GIB, MIB
from tests.inventory.recorded import RecordedSlurm

TRAINING = Workload()


@pytest.fixture(scope="module")
def cluster() -> Inventory:
    """The recorded cluster of Slurm 25.11, as alice (accounts bigml and, by default, small) may use it."""
    slurm = RecordedSlurm("25.11.7", {"alice": "mini25|bigml||small|normal||||\nmini25|small||small|normal||||\n"})
    return assemble(read_with_commands(slurm, user="alice"), load_catalogue(), Who(user="alice"))


def _only(cluster: Inventory, name: str, **changes: object) -> Inventory:
    """The cluster with one partition, changed."""
    (partition,) = (partition for partition in cluster.partitions if partition.name == name)
    return replace(cluster, partitions=(replace(partition, **changes),))  # type: ignore[arg-type]


def _reasons(candidates: Candidates) -> dict[tuple[str, str | None], str]:
    return {(rejection.partition, rejection.gpu_model): rejection.reason for rejection in candidates.rejections}


def test_each_partition_and_gpu_is_offered_with_its_own_gres_type(cluster: Inventory) -> None:
    """A partition with two GPU models is two placements; the user's own GRES type goes into the request."""
    candidates = candidate_placements(TRAINING, cluster, Request())

    assert {
        ("gtx", "gtx_750_ti", "NVIDIA GeForce GTX 750 Ti"),
        ("rtx", "rtx_3070", "NVIDIA GeForce RTX 3070"),
        ("rtx", "nvidia_geforce_rtx_3090", "NVIDIA GeForce RTX 3090"),
        ("ampere", "nvidia_a100-sxm4-80gb", "NVIDIA A100-SXM4-80GB"),
        ("ampere", "nvidia_a100-sxm4-80gb_1g.10gb", "NVIDIA A100-SXM4-80GB MIG 1g.10gb"),
    } == {(p.partition, p.gres_type, p.gpu.name) for p in candidates.placements}
    assert {(1, 1)} == {(placement.gpus, placement.nodes) for placement in candidates.placements}


def test_what_is_not_offered_says_why(cluster: Inventory) -> None:
    """CPU-only, hidden, down, and an account that the user would have to name."""
    candidates = candidate_placements(TRAINING, cluster, Request())

    assert {
        ("debug", None): "it has no GPU",
        ("hopper", None): "account small may not use it; try --account=bigml",
        ("hidden", None): "the site hides this partition; name it to use it",
        ("down", None): "partition is down",
    } == _reasons(candidates)


def test_a_named_node_is_where_a_placement_is_offered(cluster: Inventory) -> None:
    """-w: its partition and GPU are picked, no other."""
    candidates = candidate_placements(TRAINING, cluster, Request(nodelist="c3090n1"))

    assert {("rtx", "nvidia_geforce_rtx_3090")} == {
        (found.partition, found.gres_type) for found in candidates.placements
    }


def test_the_users_account_opens_its_partition(cluster: Inventory) -> None:
    """--account=bigml on the command line, in SBATCH_ACCOUNT or in the script counts."""
    candidates = candidate_placements(TRAINING, cluster, Request(account="bigml"))

    assert "hopper" in {placement.partition for placement in candidates.placements}


def test_ram_is_offered_in_steps_up_to_the_nodes_and_partitions_limit(cluster: Inventory) -> None:
    """Steps of 8 to 128 GiB, the partition's default in place of a step near it; at most what the node has."""
    candidates = candidate_placements(TRAINING, cluster, Request())

    def sizes(partition: str, gpu: str) -> list[float]:
        return [
            placement.memory_bytes / GIB
            for placement in candidates.placements
            if (placement.partition, placement.gres_type) == (partition, gpu)
        ]

    assert [8000 / 1024, 16, 31.25] == sizes("gtx", "gtx_750_ti")
    assert [8000 / 1024, 16, 32, 64, 120000 / 1024] == sizes("rtx", "nvidia_geforce_rtx_3090")
    assert [8, 16, 32, 64, 128] == sizes("ampere", "nvidia_a100-sxm4-80gb")


def test_less_ram_than_the_training_needs_is_not_offered(cluster: Inventory) -> None:
    """The need is rounded up to a step; where no node has it, that is the reason."""
    candidates = candidate_placements(TRAINING, cluster, Request(), host_memory_bytes=150 * GIB)

    assert {("ampere", 192 * GIB)} == {(p.partition, p.memory_bytes) for p in candidates.placements}
    assert (
        "the training needs 150 GiB of RAM, a node gives 31.2 GiB"
        == _reasons(candidates)["gtx", "NVIDIA GeForce GTX 750 Ti"]
    )


@pytest.mark.parametrize(
    ("request_", "key", "reason"),
    [
        (Request(gpus=2), ("gtx", "NVIDIA GeForce GTX 750 Ti"), "2 GPUs asked, nodes have 1"),
        (
            Request(gpus=2),
            ("ampere", "NVIDIA A100-SXM4-80GB MIG 1g.10gb"),
            "one training cannot span several MIG slices",
        ),
        (Request(nodes=2, gpus=2), ("ampere", "NVIDIA A100-SXM4-80GB"), "2 nodes with 1 GPUs asked, 1 can be used"),
        (Request(gpu_type="h100"), ("rtx", "NVIDIA GeForce RTX 3070"), "GPU type h100 is asked for"),
        (
            Request(memory_bytes=64 * GIB),
            ("gtx", "NVIDIA GeForce GTX 750 Ti"),
            "64 GiB of RAM asked, a node gives 31.2 GiB",
        ),
        (Request(cpus=32), ("gtx", "NVIDIA GeForce GTX 750 Ti"), "32 CPUs asked, nodes have 4"),
        (Request(time_s=86400.0 * 2), ("gtx", None), "2 d 0 h asked, its limit is 1 d 0 h"),
        (Request(time_s=inf), ("gtx", None), "no time limit asked, its limit is 1 d 0 h"),
        (Request(exclude="a[1-9]00n1"), ("ampere", "NVIDIA A100-SXM4-80GB"), "its nodes are excluded (a[1-9]00n1)"),
        (Request(nodelist="c3090n2"), ("ampere", "NVIDIA A100-SXM4-80GB"), "node c3090n2 is asked for"),
        (
            Request(whole_nodes=True),
            ("ampere", "NVIDIA A100-SXM4-80GB MIG 1g.10gb"),
            "--exclusive takes the whole node, of which a MIG slice is a small part",
        ),
        (Request(constraint="cloud"), ("rtx", "NVIDIA GeForce RTX 3070"), "no node has the features asked for (cloud)"),
        (Request(partitions=("rtx",)), ("gtx", None), "partition rtx is asked for"),
        (Request(partitions=("rtx", "nowhere")), ("nowhere", None), "the cluster has no such partition"),
    ],
)
def test_what_the_user_fixed_is_respected(
    cluster: Inventory, request_: Request, key: tuple[str, str | None], reason: str
) -> None:
    """Nothing that the user said is widened; what does not fit it says so."""
    assert reason == _reasons(candidate_placements(TRAINING, cluster, request_))[key]


def test_the_users_numbers_are_in_every_placement(cluster: Inventory) -> None:
    """Memory, CPUs, GPUs and nodes are taken as they were said."""
    request = Request(partitions=("rtx",), gpus=2, memory_bytes=10 * GIB, cpus=3)
    candidates = candidate_placements(TRAINING, cluster, request)

    assert [("rtx", 2, 1, 10 * GIB, 3)] == [
        (p.partition, p.gpus, p.nodes, p.memory_bytes, p.cpus) for p in candidates.placements
    ]


@pytest.mark.parametrize(
    ("request_", "cpus", "memory_bytes"),
    [
        (Request(memory_per_cpu_bytes=GIB, cpus=4), 4, 4 * GIB),
        (Request(memory_per_cpu_bytes=GIB), 8, 8 * GIB),
        (Request(memory_per_gpu_bytes=20 * GIB, gpus=2), 16, 40 * GIB),
        (Request(cpus_per_gpu=3, gpus=2), 6, None),
        (Request(whole_memory=True), 8, 512000 * MIB),
    ],
)
def test_shares_are_of_the_cpus_and_gpus_that_the_job_gets(
    cluster: Inventory, request_: Request, cpus: int, memory_bytes: int | None
) -> None:
    """Also of those that advice picks; --mem=0 is what a node has."""
    found = candidate_placements(TRAINING, _only(cluster, "ampere"), request_).placements
    placements = [placement for placement in found if placement.gres_type == "nvidia_a100-sxm4-80gb"]

    assert {cpus} == {placement.cpus for placement in placements}
    assert memory_bytes is None or {memory_bytes} == {placement.memory_bytes for placement in placements}


def test_why_something_asked_for_is_not_offered_is_said_first(cluster: Inventory) -> None:
    """Not that a partition nobody asked for has no GPU."""
    named = candidate_placements(TRAINING, cluster, Request(partitions=("down",)))
    too_much = candidate_placements(TRAINING, cluster, Request(memory_bytes=10000 * GIB))
    unlimited = candidate_placements(TRAINING, cluster, Request(time_s=inf))

    assert "partition is down" == named.rejections[0].reason
    assert too_much.rejections[0].reason.startswith("10000 GiB of RAM asked")
    assert "it has no GPU" == unlimited.rejections[-1].reason


def test_a_hidden_partition_is_offered_to_who_names_it(cluster: Inventory) -> None:
    """Slurm lets them submit to it."""
    candidates = candidate_placements(TRAINING, cluster, Request(partitions=("hidden",)))

    assert {"hidden"} == {placement.partition for placement in candidates.placements}


def test_drained_nodes_are_never_offered(cluster: Inventory) -> None:
    """A GPU whose nodes are all drained is rejected with the node's own reason."""
    rtx = next(partition for partition in cluster.partitions if partition.name == "rtx")
    drained = tuple(node for node in rtx.nodes if node.name != "r3070n1")
    candidates = candidate_placements(TRAINING, _only(cluster, "rtx", nodes=drained), Request())

    assert {("rtx", "NVIDIA GeForce RTX 3070"): "node r3070n2 drained: fan broken"} == _reasons(candidates)
    assert {"NVIDIA GeForce RTX 3090"} == {placement.gpu.name for placement in candidates.placements}


def test_as_many_gpus_as_the_script_uses(cluster: Inventory) -> None:
    """A probe that saw four devices asks for four, and never spreads them over nodes unasked."""
    workload = Workload(devices=Fact(4, Source.PROBE))
    candidates = candidate_placements(workload, cluster, Request())

    assert {("rtx", 4, 1), ("ampere", 4, 1)} == {(p.partition, p.gpus, p.nodes) for p in candidates.placements}


def test_the_users_gpu_count_wins_over_the_scripts(cluster: Inventory) -> None:
    """What was asked for is what will be there."""
    workload = Workload(devices=Fact(4, Source.PROBE))

    assert {1} == {p.gpus for p in candidate_placements(workload, cluster, Request(gpus=1)).placements}


def test_cpus_are_the_gpus_share_within_reason(cluster: Inventory) -> None:
    """A quarter of the node for one of four GPUs, eight at most, one at least."""
    candidates = candidate_placements(TRAINING, cluster, Request())
    cpus = {placement.gres_type: placement.cpus for placement in candidates.placements}

    assert {
        "gtx_750_ti": 4,
        "rtx_3070": 8,
        "nvidia_geforce_rtx_3090": 4,
        "nvidia_a100-sxm4-80gb": 8,
        "nvidia_a100-sxm4-80gb_1g.10gb": 1,
    } == cpus


@pytest.mark.parametrize(
    ("changes", "request_", "reason"),
    [
        ({"max_gpus_per_job": 1}, Request(gpus=2), "2 GPUs asked, a job may have 1"),
        ({"max_nodes": 1}, Request(gpus=4, nodes=2), "2 nodes asked, a job may have 1"),
        ({"max_cpus_per_node": 4}, Request(cpus=6), "6 CPUs asked, nodes have 4"),
        (
            {"max_memory_per_cpu_bytes": 1000 * MIB},
            Request(memory_bytes=64 * GIB),
            "64 GiB of RAM asked, a node gives 15.6 GiB",
        ),
    ],
)
def test_a_partitions_limits_bind(
    cluster: Inventory, changes: dict[str, object], request_: Request, reason: str
) -> None:
    """GPUs a job, nodes a job, CPUs a node, memory a CPU."""
    candidates = candidate_placements(TRAINING, _only(cluster, "rtx", **changes), request_)

    assert reason == _reasons(candidates)["rtx", "NVIDIA GeForce RTX 3090"]


@pytest.mark.parametrize(
    ("qos", "expected"),
    [(None, "QOS normal may not use it; try --qos=long"), ("long", None)],
)
def test_a_qos_that_the_partition_does_not_take_is_said(
    cluster: Inventory, qos: str | None, expected: str | None
) -> None:
    """The default QOS counts where none is named."""
    inventory = replace(_only(cluster, "gtx", allowed_qos=("long",)), qos="normal")
    candidates = candidate_placements(TRAINING, inventory, Request(qos=qos))

    assert expected == _reasons(candidates).get(("gtx", None))


@pytest.mark.parametrize(
    ("constraint", "partitions"),
    [
        ("cloud", {"rtx"}),
        ("ampere&local", {"rtx"}),
        ("maxwell|nvlink", {"gtx", "ampere"}),
        ("[rack1*2&rack2*1]", {"gtx", "rtx", "ampere"}),
    ],
)
def test_plain_constraints_choose_nodes_and_others_are_left_to_sbatch(
    cluster: Inventory, constraint: str, partitions: set[str]
) -> None:
    """Features are joined with & or |; brackets and counts are Slurm's to judge."""
    candidates = candidate_placements(TRAINING, cluster, Request(constraint=constraint))

    assert partitions == {placement.partition for placement in candidates.placements}


def test_a_cluster_without_gpus_is_an_error_with_a_next_step(cluster: Inventory) -> None:
    """There is nothing to advise on, and the user is told how Slurm would show a GPU."""
    with pytest.raises(InventoryError, match="no partition with GPUs") as caught:
        candidate_placements(TRAINING, _only(cluster, "debug"), Request())

    assert caught.value.hint is not None


def test_a_cluster_all_barred_is_no_error(cluster: Inventory) -> None:
    """The reasons are the answer."""
    candidates = candidate_placements(TRAINING, _only(cluster, "down"), Request())

    assert () == candidates.placements
    assert {("down", None): "partition is down"} == _reasons(candidates)


def test_an_unknown_gpu_is_offered_as_unknown(cluster: Inventory) -> None:
    """Whether a guess is worth anything is for the prediction to say."""
    gtx = next(partition for partition in cluster.partitions if partition.name == "gtx")
    node = gtx.nodes[0]
    gpu = load_catalogue().identify("mystery")
    strange = replace(node, gres=(replace(node.gres[0], gres_type="mystery", gpu=gpu),))
    candidates = candidate_placements(TRAINING, _only(cluster, "gtx", nodes=(strange,)), Request())

    assert {("mystery", False)} == {(placement.gpu.name, placement.gpu.known) for placement in candidates.placements}


def test_a_partition_that_wants_several_nodes_gets_them(cluster: Inventory) -> None:
    """MinNodes counts where the user named no number."""
    rtx: Partition = next(partition for partition in cluster.partitions if partition.name == "rtx")
    cloud = next(node for node in rtx.nodes if node.name == "c3090n1")
    inventory = _only(cluster, "rtx", nodes=(cloud, replace(cloud, name="c3090n2")), min_nodes=2)

    assert {(2, 2)} == {
        (p.gpus, p.nodes) for p in candidate_placements(TRAINING, inventory, Request(gpus=2)).placements
    }
