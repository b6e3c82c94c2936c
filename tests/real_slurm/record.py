"""Record what this machine's Slurm answers on the test cluster, as data for the parsers' tests.

As root, where the wanted release is installed (a chroot will do)::

    python -m tests.real_slurm.record FOLDER       # such as tests/data/slurm/24.11.5

Host names, folders and kernels are renamed, so that recordings of two machines differ in what Slurm said only.
"""

from __future__ import annotations

import re
import socket
import sys
import tempfile
from pathlib import Path

from advisor.inventory.sacctmgr import ASSOCIATION_COLUMNS, QOS_COLUMNS
from tests.real_slurm import config
from tests.real_slurm.cluster import Cluster

HOST = "login1"
FOLDER = "/srv/slurm"
KERNEL = "OS=Linux 6.1.0-28-amd64 #1 SMP PREEMPT_DYNAMIC @0"
# Jobs that leave the cluster in many states at once, in order.
JOBS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("alice", ("--partition=rtx", "--gres=gpu:1", "--job-name=train_a", "--mem=4G", "--wrap=sleep 15")),
    (
        "alice",
        (
            "--partition=ampere",
            "--gres=gpu:nvidia_a100-sxm4-80gb:2",
            "--mem=16G",
            "--job-name=train_b",
            "--wrap=sleep 15",
        ),
    ),
    ("alice", ("--partition=hopper", "-G", "h100:4", "--job-name=train_c", "--wrap=sleep 15")),
    ("alice", ("--partition=ampere", "--gres=gpu:nvidia_a100-sxm4-80gb_1g.10gb:1", "--job-name=mig", "--wrap=true")),
    ("bob", ("--partition=rtx", "--gres=gpu:nvidia_geforce_rtx_3090:2", "--array=1-3%2", "--wrap=sleep 5")),
    ("alice", ("--partition=rtx", "--nodes=2", "--gres=gpu:nvidia_geforce_rtx_3090:1", "--wrap=srun sleep 3")),
    ("alice", ("--partition=gtx", "--gres=gpu:1", "--begin=now+1hour", "--job-name=later", "--wrap=true")),
    ("alice", ("--wrap=exit 3", "--job-name=failing")),
)
# Answers to a submission: the file's name, who asks, and the options.
SUBMISSIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("sbatch_ok", "bob", ("--wrap=true",)),
    ("sbatch_parsable", "bob", ("--parsable", "--wrap=true")),
    ("sbatch_test_only", "alice", ("--test-only", "--partition=rtx", "--gres=gpu:1", "--wrap=true")),
    (
        "sbatch_test_only_impossible",
        "alice",
        ("--test-only", "--partition=gtx", "--gres=gpu:2", "--wrap=true"),
    ),
    ("sbatch_no_partition", "alice", ("--partition=nosuch", "--wrap=true")),
    ("sbatch_refused_account", "bob", ("--partition=hopper", "--gres=gpu:1", "--wrap=true")),
    ("sbatch_unknown_account", "bob", ("--account=bigml", "--wrap=true")),
    ("sbatch_over_time", "alice", ("--time=02:00:00", "--wrap=true")),
    ("sbatch_over_qos", "alice", ("--qos=short", "--time=00:20:00", "--wrap=true")),
    ("sbatch_partition_down", "alice", ("--partition=down", "--wrap=true")),
)
_ASSOCIATIONS = ("sacctmgr", "--noheader", "--parsable2", "--readonly", "show", "user", "where")
# What is asked while jobs run. The forms are those that advisor/inventory uses, and a few for people.
QUERIES: dict[str, tuple[str, ...]] = {
    "scontrol_show_node": ("scontrol", "--oneliner", "--all", "--details", "show", "node"),
    "scontrol_show_partition": ("scontrol", "--oneliner", "--all", "show", "partition"),
    "scontrol_show_config": ("scontrol", "show", "config"),
    "scontrol_show_job": ("scontrol", "--oneliner", "show", "job"),
    "scontrol_ping": ("scontrol", "ping"),
    "sinfo_all": ("sinfo", "--all", "--Node", "--Format=all"),
    "squeue_start": ("squeue", "--start"),
    "sacctmgr_assoc_alice": (*_ASSOCIATIONS, "name=alice", "withassoc", f"format={','.join(ASSOCIATION_COLUMNS)}"),
    "sacctmgr_assoc_bob": (*_ASSOCIATIONS, "name=bob", "withassoc", f"format={','.join(ASSOCIATION_COLUMNS)}"),
    "sacctmgr_qos": (*_ASSOCIATIONS[:5], "qos", f"format={','.join(QOS_COLUMNS)}"),
}


def record(cluster: Cluster, folder: Path) -> None:
    """Submit the jobs on a fresh cluster and write every answer to ``folder``."""

    def write(name: str, text: str) -> None:
        renamed = text.replace(str(cluster.folder), FOLDER)
        renamed = re.sub(rf"\b{re.escape(socket.gethostname().split('.')[0])}\b", HOST, renamed)
        (folder / f"{name}.txt").write_text(re.sub(r"\bOS=Linux \S+ .*?  RealMemory", KERNEL + "  RealMemory", renamed))

    def ask(name: str, argv: tuple[str, ...]) -> None:
        done = cluster.run(argv, check=False)
        write(name, done.stdout + done.stderr)

    ask("version", ("sbatch", "--version"))
    job_ids = [cluster.run_as(user, ["sbatch", "--parsable", *options]).stdout.strip() for user, options in JOBS]
    cluster.wait_for_job(job_ids[-1])
    for name, argv in QUERIES.items():
        ask(name, argv)
    for name, user, options in SUBMISSIONS:
        done = cluster.run_as(user, ["sbatch", *options])
        write(name, done.stdout + done.stderr)
    cluster.run(["scancel", "--state=PENDING", "--name=later"])
    for job_id in job_ids:
        cluster.wait_for_job(job_id)
    fields = cluster.run(["sacct", "--helpformat"]).stdout.split()
    ask("sacct", ("sacct", "--parsable2", "--duplicates", "--allusers", f"--format={','.join(fields)}"))
    cluster.stop_controller()
    ask("scontrol_show_node_controller_down", QUERIES["scontrol_show_node"])
    ask("scontrol_ping_controller_down", QUERIES["scontrol_ping"])


def main() -> int:
    """Record into the folder that the command line names."""
    if len(sys.argv) != 2:
        sys.stderr.write(__doc__ or "")
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="gsbatch-slurm-")))
    cluster.start()
    try:
        record(cluster, folder)
    finally:
        cluster.stop()
    sys.stdout.write(f"{config.CLUSTER_NAME}: recorded {len(list(folder.iterdir()))} answers in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
