"""What Slurm will set in a job follows from its options; what only Slurm decides is left out."""

from __future__ import annotations

import pytest

from advisor.request.slurm_variables import slurm_variables


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({"ntasks": "6"}, "SLURM_NTASKS", "6"),
        ({"nodes": "2", "ntasks-per-node": "4"}, "SLURM_NTASKS", "8"),
        ({"nodes": "2", "tasks-per-node": "4"}, "SLURM_NTASKS_PER_NODE", "4"),
        ({"nodes": "2-4"}, "SLURM_NNODES", "2"),
        ({}, "SLURM_NNODES", "1"),
        ({}, "SLURM_NTASKS", None),
        ({"gres": "gpu:a100:4"}, "SLURM_GPUS_ON_NODE", "4"),
        ({"gres": "nvme:100,gpu:2"}, "SLURM_GPUS_ON_NODE", "2"),
        ({"gres": "gpu"}, "SLURM_GPUS_ON_NODE", "1"),
        ({"gpus-per-node": "v100:8"}, "SLURM_GPUS_ON_NODE", "8"),
        ({"gpus": "8", "nodes": "2"}, "SLURM_GPUS_ON_NODE", "4"),
        ({"gpus": "3", "nodes": "2"}, "SLURM_GPUS_ON_NODE", None),
        ({"gpus-per-task": "1", "ntasks-per-node": "4", "nodes": "2"}, "SLURM_GPUS_ON_NODE", "4"),
        ({"gpus-per-task": "1", "ntasks": "4"}, "SLURM_GPUS_ON_NODE", "4"),
        ({"array": "3-9%2"}, "SLURM_ARRAY_TASK_ID", "3"),
        ({"array": None}, "SLURM_ARRAY_TASK_ID", None),
    ],
)
def test_options_say_variables(options: dict[str, str | None], name: str, value: str | None) -> None:
    """Tasks, nodes and GPUs of a node, by any of the options that say them; of an array, its first task."""
    assert value == slurm_variables(options).get(name)
