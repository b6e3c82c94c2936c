"""Record what pyslurm and Slurm's commands say of the running cluster at one moment, for replay in the tests.

As root, where pyslurm and Slurm are of the same release, with the test cluster's SLURM_CONF::

    python tests/data/pyslurm/record.py FOLDER CLUSTER_FOLDER       # such as tests/data/pyslurm/25.11.7 /tmp/cluster

Only the attributes that advisor/inventory/pyslurm_backend.py reads are kept. The cluster's folder and Slurm's, the
machine's name and its kernel are renamed; nothing else is changed.
"""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyslurm

from advisor.inventory.sacctmgr import QOS_COLUMNS, association_columns

NODE = """name configured_gres allocated_gres effective_cpus total_cpus real_memory memory_reserved_for_system
active_features partitions state reason slurm_version"""
PARTITION = """name state is_default is_hidden is_root_only requires_reservation allowed_accounts denied_accounts
allowed_groups allowed_qos denied_qos qos max_time default_time min_nodes max_nodes max_cpus_per_node
max_memory_per_node max_memory_per_cpu default_memory_per_node default_memory_per_cpu default_memory_per_gpu
default_cpus_per_gpu"""
KERNEL = "OS=Linux 6.1.0-28-amd64 #1 SMP PREEMPT_DYNAMIC @0"
SACCTMGR = ["sacctmgr", "--noheader", "--parsable2", "--readonly", "show"]
QUERIES = {
    "scontrol_show_config": ["scontrol", "show", "config"],
    "scontrol_show_node": ["scontrol", "--details", "--oneliner", "--all", "show", "node"],
    "scontrol_show_partition": ["scontrol", "--oneliner", "--all", "show", "partition"],
    "sacctmgr_show_qos": [*SACCTMGR, "qos", f"format={','.join(QOS_COLUMNS)}"],
}


def attributes() -> dict[str, Any]:
    """What pyslurm says."""
    return {
        "pyslurm": pyslurm.__version__,
        "nodes": [{name: getattr(node, name) for name in NODE.split()} for node in pyslurm.Nodes.load().values()],
        "partitions": [
            {name: getattr(partition, name) for name in PARTITION.split()}
            for partition in pyslurm.Partitions.load().values()
        ],
    }


def renamed(text: str, cluster_folder: str) -> str:
    """The same answer on a machine ``login1``."""
    text = re.sub(
        rf"\b{re.escape(socket.gethostname().split('.')[0])}\b", "login1", text.replace(cluster_folder, "/srv/slurm")
    )
    text = re.sub(r"(?m)^(PluginDir +=) .*$", r"\1 /usr/lib/slurm", text)
    return re.sub(r"\bOS=Linux \S+ .*?  RealMemory", f"{KERNEL}  RealMemory", text)


def main() -> None:
    """Record into the folder that the command line names."""
    folder, cluster_folder = Path(sys.argv[1]), sys.argv[2]
    folder.mkdir(parents=True, exist_ok=True)
    said = attributes()
    (folder / "pyslurm.json").write_text(json.dumps(said, indent=1) + "\n")
    columns = ",".join(association_columns(said["nodes"][0]["slurm_version"]))
    own = [*SACCTMGR, "user", "where", "name=alice", "withassoc", f"format={columns}"]
    for name, argv in {**QUERIES, "sacctmgr_show_user_alice": own}.items():
        text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        (folder / f"{name}.txt").write_text(renamed(text, cluster_folder))
    if attributes() != said:
        sys.exit("The cluster changed while it was recorded: record anew.")


if __name__ == "__main__":
    main()
