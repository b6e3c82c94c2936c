"""Picks fill what the user left open and nothing else."""

from __future__ import annotations

from advisor.inspection.workload import Workload
from advisor.prediction.prediction import Prediction
from advisor.recommendation.ranking import rank
from advisor.recommendation.rates import Rates
from advisor.recommendation.recommendation import RankedPlacement
from advisor.rendering.picks import choose_picks
from advisor.request.asked import read_asked
from advisor.request.sbatch_options import split_options
from tests.recommendation.examples import MODEL, joint, placement, prediction


def _best(only: Prediction) -> RankedPlacement:
    best = rank(Workload(), [only], (), objective="energy", joint=joint([only]), model=MODEL, rates=Rates()).recommended
    if best is None:
        raise ValueError("the example does not fit")
    return best


def _picked(words: str = "", only: Prediction | None = None, default_time_s: float | None = None) -> dict[str, str]:
    asked = read_asked(split_options(words.split()).options, {}, ())
    best = _best(only or prediction(placement()))
    return {pick.name: pick.value for pick in choose_picks(best, asked, default_time_s=default_time_s)}


def test_everything_open_is_filled() -> None:
    """Partition, GPU by type and number, memory, CPUs; never a time limit that the partition gives anyway."""
    expected = {"partition": "ampere", "gres": "gpu:a100:1", "mem": "16G", "cpus-per-task": "8"}
    assert expected == _picked()


def test_each_word_of_the_user_closes_its_pick() -> None:
    """What is named stands."""
    assert "partition" not in _picked("-p rtx")
    assert "gres" not in _picked("--gpus-per-task=1")
    assert "mem" not in _picked("--mem-per-cpu=1G")
    assert "cpus-per-task" not in _picked("-n 4")
    assert {} == _picked("-w ./nodes")


def test_an_untyped_gpu_is_asked_for_without_a_type() -> None:
    """A site that gave its GPUs no type knows none."""
    assert "gpu:2" == _picked(only=prediction(placement(gres_type=None, gpus=2)))["gres"]


def test_gpus_are_asked_for_by_node() -> None:
    """--gres counts a node's GPUs; the nodes are named only where there are several and the user named none."""
    two_nodes = prediction(placement(gpus=8, nodes=2))

    assert {"nodes": "2", "gres": "gpu:a100:4"}.items() <= _picked(only=two_nodes).items()
    assert "nodes" not in _picked("-N 2", only=two_nodes)


def test_memory_is_left_to_the_site_where_the_need_is_not_known() -> None:
    """A guess could kill the job."""
    assert "mem" not in _picked(only=prediction(placement(), host_memory_bytes=None))


def test_a_time_limit_is_only_ever_lengthened() -> None:
    """One hour predicted (up to 1.25): a default of 30 min would cut it, one of 2 h would not; max and --time stand."""
    hour = prediction(placement(max_time_s=86400.0), duration_s=3600.0)
    close = prediction(placement(max_time_s=4000.0), duration_s=3600.0)

    assert "01:53:00" == _picked(only=hour, default_time_s=1800.0)["time"]
    assert "time" not in _picked(only=hour, default_time_s=7200.0)
    assert "time" not in _picked(only=hour)
    assert "time" not in _picked("-t 10", only=prediction(placement(), duration_s=60.0), default_time_s=1.0)
    assert "01:06:00" == _picked(only=close, default_time_s=1800.0)["time"]
