"""The test cluster is what config.py says, and leaves nothing behind."""

from __future__ import annotations

import pwd
import tempfile
from pathlib import Path

import psutil
import pytest

from tests.real_slurm import config, users
from tests.real_slurm.cluster import Cluster, ClusterError
from tests.real_slurm.processes import processes_of

pytestmark = pytest.mark.real_slurm


def submit(cluster: Cluster, user: str, *options: str) -> str:
    """Submit as the user and return the job's id."""
    done = cluster.run_as(user, ["sbatch", "--parsable", *options])
    if done.returncode != 0:
        pytest.fail(f"sbatch {options}: {done.stderr}")
    return done.stdout.strip()


def test_nodes_are_idle_but_the_drained_one(cluster: Cluster) -> None:
    """Every node of config.py is there with its GPUs; only the one meant to be drained is."""
    listing = cluster.run(["sinfo", "--all", "--noheader", "--Node", "--format=%N|%T|%G"]).stdout
    states = {tuple(line.split("|")) for line in listing.splitlines()}

    expected = set()
    for node in config.NODES:
        gres = ",".join(f"gpu:{gpu_type}:{count}" for gpu_type, count in node.gpus) or "(null)"
        expected.add((node.name, "drained" if node.name == config.DRAINED_NODE else "idle", gres))
    assert expected == states


def test_partitions_differ_as_sites_do(cluster: Cluster) -> None:
    """One partition is down, one is hidden from a plain listing, and limits differ."""
    plain = cluster.run_as("bob", ["sinfo", "--noheader", "--format=%R|%a|%l"]).stdout.splitlines()
    everything = cluster.run_as("bob", ["sinfo", "--all", "--noheader", "--format=%R|%a|%l"]).stdout.splitlines()

    assert "gtx|up|1-00:00:00" in plain
    assert "down|down|infinite" in plain
    assert {"hidden|up|1:00:00"} == {line for line in everything if line.startswith("hidden|")}
    assert not [line for line in plain if line.startswith("hidden|")]


@pytest.mark.parametrize(
    ("user", "options", "accepted"),
    [
        ("alice", (), True),
        ("alice", ("--account=small",), False),
        ("bob", (), False),
        ("bob", ("--account=bigml",), False),
    ],
)
def test_hopper_is_for_the_account_bigml(
    cluster: Cluster, user: str, options: tuple[str, ...], *, accepted: bool
) -> None:
    """Who may use hopper is decided by the account that the job is charged to."""
    done = cluster.run_as(user, ["sbatch", "--test-only", "--partition=hopper", "--gpus=1", *options, "--wrap=true"])

    assert accepted == (done.returncode == 0), done.stderr


def test_gpu_job_sees_its_gpus_and_no_other_variable_of_ours(cluster: Cluster) -> None:
    """A job gets as many GPUs as it asked for, and a log-in's environment instead of this process's."""
    job_id = submit(cluster, "alice", "--partition=rtx", "--gres=gpu:nvidia_geforce_rtx_3090:2", "--wrap=env")

    assert cluster.wait_for_job(job_id) == "COMPLETED"
    environment = (cluster.home("alice") / f"slurm-{job_id}.out").read_text().splitlines()
    assert "CUDA_VISIBLE_DEVICES=0,1" in environment
    assert not [line for line in environment if line.startswith("PYTEST_")]


def test_mig_slice_is_a_gpu_of_its_own_type(cluster: Cluster) -> None:
    """A MIG type is requested and counted beside the whole GPUs of its node."""
    job_id = submit(cluster, "alice", "--partition=ampere", "--gres=gpu:nvidia_a100-sxm4-80gb_1g.10gb:1", "--wrap=true")

    assert cluster.wait_for_job(job_id) == "COMPLETED"


def test_array_tasks_end_one_by_one(cluster: Cluster) -> None:
    """Waiting for an array waits for every task and tells their states apart."""
    job_id = submit(cluster, "bob", "--array=0-2", "--wrap=exit $((SLURM_ARRAY_TASK_ID == 2))")

    assert cluster.wait_for_job(job_id) == "COMPLETED,FAILED"
    assert cluster.wait_for_job(f"{job_id}_2") == "FAILED"


def test_requeued_job_runs_again_under_its_id(cluster: Cluster) -> None:
    """A requeued job keeps its id, and accounting keeps both of its runs."""
    wrap = "if [ ${SLURM_RESTART_COUNT:-0} = 0 ]; then scontrol requeue $SLURM_JOB_ID; sleep 60; fi"
    job_id = submit(cluster, "alice", f"--wrap={wrap}")

    assert cluster.wait_for_job(job_id, timeout_s=90) == "COMPLETED"
    argv = ["sacct", "--allocations", "--duplicates", "--noheader", "--parsable2", "--format=State", f"--jobs={job_id}"]
    assert cluster.run(argv).stdout.split() == ["REQUEUED", "COMPLETED"]


def test_job_spans_two_nodes(cluster: Cluster) -> None:
    """One srun starts one task on each of a job's two nodes, with its GPUs."""
    options = ["--partition=rtx", "--nodes=2", "--ntasks-per-node=1", "--gres=gpu:nvidia_geforce_rtx_3090:1"]
    job_id = submit(cluster, "alice", *options, "--wrap=srun bash -c 'echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES'")

    assert cluster.wait_for_job(job_id) == "COMPLETED"
    lines = (cluster.home("alice") / f"slurm-{job_id}.out").read_text().splitlines()
    assert sorted(lines) == ["c3090n1 0", "c3090n2 0"]


def test_limits_refuse_at_submission(cluster: Cluster) -> None:
    """A QOS limit on wall time and a partition's time limit both refuse the job when it is submitted."""
    over_qos = cluster.run_as("alice", ["sbatch", "--qos=short", "--time=00:20:00", "--wrap=true"])
    over_partition = cluster.run_as("alice", ["sbatch", "--time=02:00:00", "--wrap=true"])
    not_bobs_qos = cluster.run_as("bob", ["sbatch", "--qos=short", "--wrap=true"])

    assert "Job violates accounting/QOS policy" in over_qos.stderr
    assert "Requested time limit is invalid" in over_partition.stderr
    assert "Invalid qos" in not_bobs_qos.stderr


@pytest.mark.usefixtures("real_slurm")
def test_second_cluster_runs_beside_and_leaves_nothing() -> None:
    """Another cluster starts beside the first, survives its controller's outage, and takes all of itself away."""
    folder = Path(tempfile.mkdtemp(prefix="gsbatch-slurm-"))
    mounts_before = Path("/proc/mounts").read_text()
    users_before = {name for name in config.USERS if name in {entry.pw_name for entry in pwd.getpwall()}}
    second = Cluster(folder)
    second.start()
    try:
        submit(second, "alice", "--partition=gtx", "--gres=gpu:1", "--wrap=trap '' TERM; sleep 600")
        second.stop_controller()
        unreachable = second.run(["scontrol", "ping"], check=False).stdout
        second.restart_controller()
        members = processes_of(folder)
    finally:
        second.stop()

    assert "is DOWN" in unreachable
    assert len(config.NODES) + 4 <= len(members)
    assert not [process for process in members if psutil.pid_exists(process.pid)]
    assert not processes_of(folder)
    assert not folder.exists()
    assert mounts_before == Path("/proc/mounts").read_text()
    assert users_before == {name for name in config.USERS if name in {entry.pw_name for entry in pwd.getpwall()}}
    assert not list(users.REGISTER.glob(f"*/{folder.name}"))


def test_stop_refuses_a_folder_that_is_no_cluster(tmp_path: Path) -> None:
    """A mistyped --dir is never emptied."""
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(ClusterError, match="does not hold a test cluster"):
        Cluster(tmp_path).stop()
    assert (tmp_path / "thesis.tex").exists()
