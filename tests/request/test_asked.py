"""What the user fixed is found in all three layers and every form."""

from __future__ import annotations

from math import inf

import pytest

from advisor.request.asked import Asked, read_asked
from advisor.request.placement_request import Request
from advisor.request.sbatch_options import split_options
from advisor.units import GIB, MIB


def _asked(command_line: str = "", environment: dict[str, str] | None = None, directives: str = "") -> Asked:
    return read_asked(
        split_options(command_line.split()).options, environment or {}, split_options(directives.split()).options
    )


def test_command_line_beats_environment_beats_directives() -> None:
    """The precedence is sbatch's own."""
    environment = {"SBATCH_PARTITION": "b", "SBATCH_TIMELIMIT": "20"}

    assert ("a",) == _asked("-p a", environment, "-p c").request.partitions
    assert ("b",) == _asked("", environment, "-p c").request.partitions
    assert ("c",) == _asked("", {}, "-p c").request.partitions
    assert 1200.0 == _asked("", environment, "-t 5").request.time_s


@pytest.mark.parametrize(
    ("arguments", "gpus", "gpu_type"),
    [
        ("--gres=gpu", 1, None),
        ("--gres=gpu:2", 2, None),
        ("--gres=gpu:a100:2 -N 2", 4, "a100"),
        ("--gres=gpu:a100", 1, "a100"),
        ("--gres=craynetwork:1,gpu:v100:1", 1, "v100"),
        ("--gres=gres/gpu:a100:2", 2, "a100"),
        ("-G 4", 4, None),
        ("-Gh100:4", 4, "h100"),
        ("--gpus=a100:1,v100:1", 2, None),
        ("--gpus-per-node=a100:2 --nodes=3", 6, "a100"),
        ("--gpus-per-task=1 -n 4", 4, None),
        ("--gpus-per-task=1 --ntasks-per-node=2 -N 2", 4, None),
        ("--tres-per-task=cpu=4,gres/gpu:a100:1 -n 2", 2, "a100"),
        ("--tres-per-task=cpu=4,gres/gpu=1 -n 2", 2, None),
    ],
)
def test_every_form_of_asking_for_gpus_is_understood(arguments: str, gpus: int, gpu_type: str | None) -> None:
    """Reading only --gres would add a second, conflicting request beside -G."""
    asked = _asked(arguments)

    assert (gpus, gpu_type) == (asked.request.gpus, asked.request.gpu_type)
    assert not asked.open_gpus


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        ("--mem=16G", Request(memory_bytes=16 * GIB)),
        ("--mem=500", Request(memory_bytes=500 * MIB)),
        ("--mem-per-cpu=2G", Request(memory_per_cpu_bytes=2 * GIB)),
        ("--mem-per-gpu=8G", Request(memory_per_gpu_bytes=8 * GIB)),
        ("--mem=0", Request(whole_memory=True)),
        ("--mem-per-cpu=0", Request(whole_memory=True)),
    ],
)
def test_every_form_of_asking_for_memory_closes_it(arguments: str, request_: Request) -> None:
    """--mem beside the user's --mem-per-cpu would be refused by sbatch; 0 is a whole node, not no memory."""
    asked = _asked(arguments)

    assert request_ == asked.request
    assert not asked.open_memory


@pytest.mark.parametrize("limit", ["UNLIMITED", "INFINITE", "0"])
def test_no_time_limit_is_a_request_too(limit: str) -> None:
    """A partition with a limit refuses it; it is not the same as having said nothing."""
    assert inf == _asked(f"--time={limit}").request.time_s


def test_memory_forms_of_a_weaker_layer_give_way() -> None:
    """--mem on the command line stands alone, whatever form the script uses."""
    assert 4 * GIB == _asked("--mem=4G", {}, "--mem-per-cpu=1G -c 8").request.memory_bytes


def test_nothing_asked_leaves_everything_open() -> None:
    """The advice may fill it all."""
    asked = _asked("--job-name=x --output=o")

    assert Request() == asked.request
    assert (True,) * 5 == (
        asked.open_partition, asked.open_gpus, asked.open_memory, asked.open_cpus, asked.open_time,
    )  # fmt: skip
    assert asked.tied_by is None


@pytest.mark.parametrize(
    ("arguments", "tied_by"),
    [
        ("-w ./nodes", "--nodelist"),
        ("--reservation=r", "--reservation"),
        ("-M other", "--clusters"),
        ("--gres=shard:2", "--gres"),
        ("--gres=gpu:0", "--gres"),
        ("--gres=none", "--gres"),
        ("--gpus=0", "--gpus"),
        ("--gpus=a100:1,v100:1", "--gpus"),
        ("-C [a|b]", "--constraint"),
        ("-C a*2", "--constraint"),
        ("-C a|b&c", "--constraint"),
        ("-x ./nodes.txt", "--exclude"),
        ("-C a|b -x n[1-3] --gres=gpu:a100:1,lustre:1", None),
    ],
)
def test_what_ties_a_job_forbids_every_pick(arguments: str, tied_by: str | None) -> None:
    """What the inventory cannot follow: a pick beside it could make a job that waits for ever."""
    assert tied_by == _asked(arguments).tied_by


@pytest.mark.parametrize(
    ("cluster", "tied_by"), [("other", None), ("mini", "--clusters"), ("other,mini", "--clusters")]
)
def test_naming_the_cluster_at_hand_ties_to_nothing(cluster: str, tied_by: str | None) -> None:
    """Sites set SLURM_CLUSTERS to it for everybody; a list of clusters leaves it to Slurm which one."""
    asked = _asked("", {"SLURM_CLUSTERS": cluster})

    assert "--clusters" == asked.tied_by
    assert tied_by == asked.on_cluster("other").tied_by


@pytest.mark.parametrize(
    ("arguments", "nodelist", "nodes"),
    [("-w n1", "n1", None), ("-w n[1-3]", "n[1-3]", 3), ("-w n1,m2 -N4", "n1,m2", 4), ("-N2 -w n[1-3]", "n[1-3]", 3)],
)
def test_named_nodes_are_all_part_of_the_job(arguments: str, nodelist: str, nodes: int | None) -> None:
    """sbatch(1), --nodelist; further ones may join them."""
    request = _asked(arguments).request

    assert (nodelist, nodes) == (request.nodelist, request.nodes)


@pytest.mark.parametrize(("arguments", "whole"), [("--exclusive", True), ("--exclusive=user", False), ("", False)])
def test_exclusive_without_a_value_takes_whole_nodes(arguments: str, whole: bool) -> None:
    """Shared with the user's own jobs, they are not whole."""
    assert whole == _asked(arguments).request.whole_nodes


@pytest.mark.parametrize("arguments", ["-n 4", "-c 2", "--exclusive", "--cpus-per-gpu=2", "--ntasks-per-node=2"])
def test_any_option_about_cpus_or_tasks_closes_cpus(arguments: str) -> None:
    """--cpus-per-task beside the user's task layout would multiply it."""
    assert not _asked(arguments).open_cpus
