"""Write what pyslurm says of the running cluster's nodes and partitions as JSON, for replay in the tests.

    python tests/data/pyslurm/record.py > tests/data/pyslurm/25.11.json

Only the attributes that advisor/inventory/pyslurm_backend.py reads are kept. Record
``scontrol --details --oneliner --all show node`` and ``show partition`` and ``scontrol show config`` at the same moment.
"""

import json
import sys

import pyslurm

NODE = """name configured_gres allocated_gres effective_cpus total_cpus real_memory memory_reserved_for_system
active_features partitions state reason slurm_version""".split()
PARTITION = """name state is_default is_hidden is_root_only requires_reservation allowed_accounts denied_accounts
allowed_groups allowed_qos denied_qos qos max_time default_time min_nodes max_nodes max_cpus_per_node
max_memory_per_node max_memory_per_cpu default_memory_per_node default_memory_per_cpu default_memory_per_gpu
default_cpus_per_gpu""".split()

json.dump(
    {
        "pyslurm": pyslurm.__version__,
        "nodes": [{name: getattr(node, name) for name in NODE} for node in pyslurm.Nodes.load().values()],
        "partitions": [
            {name: getattr(partition, name) for name in PARTITION} for partition in pyslurm.Partitions.load().values()
        ],
    },
    sys.stdout,
    indent=1,
)
