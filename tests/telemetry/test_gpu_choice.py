"""Whose GPUs are measured."""

from __future__ import annotations

import pytest

from advisor.telemetry.gpu_choice import choose_gpus

UUIDS = ("GPU-aa11", "GPU-bb22", "GPU-cc33", "GPU-cc44")
A100 = ("NVIDIA A100-SXM4-80GB",) * 4


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"CUDA_VISIBLE_DEVICES": "2,0", "SLURM_JOB_ID": "1"}, (2, 0)),
        ({"CUDA_VISIBLE_DEVICES": "GPU-bb", "SLURM_JOB_ID": "1"}, (1,)),
        ({"SLURM_JOB_GPUS": "3", "SLURM_JOB_ID": "1"}, (3,)),
        ({"CUDA_VISIBLE_DEVICES": "", "SLURM_JOB_ID": "1"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles", "SLURM_JOB_ID": "1"}, ()),
        ({"SLURM_JOB_ID": "1"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "GPU-cc", "SLURM_JOB_ID": "1"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "0,nonsense", "SLURM_JOB_ID": "1"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "7", "SLURM_JOB_ID": "1"}, ()),
        ({}, (0, 1, 2, 3)),
    ],
)
def test_only_the_jobs_own_gpus(environment: dict[str, str], expected: tuple[int, ...]) -> None:
    """What cannot be told for sure is none at all: a neighbour's energy is never charged to the job."""
    choice = choose_gpus(environment, UUIDS, A100)

    assert expected == choice.indices
    assert expected or choice.note


def test_device_cgroup_hides_the_neighbours() -> None:
    """Where NVML lists just as many GPUs as the job has, CUDA's numbers begin anew inside the cgroup."""
    environment = {"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_GPUS": "3", "SLURM_JOB_ID": "1"}

    assert (0,) == choose_gpus(environment, UUIDS[:1], A100[:1]).indices


def test_numbers_of_mixed_models_are_not_guessed() -> None:
    """CUDA counts the fastest first, NVML by the bus."""
    names = ("NVIDIA T4", "NVIDIA A100-SXM4-80GB")

    assert () == choose_gpus({"CUDA_VISIBLE_DEVICES": "0"}, UUIDS[:2], names).indices
    assert (0,) == choose_gpus(
        {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, UUIDS[:2], names
    ).indices


def test_mig_slices_go_by_their_uuid() -> None:
    """NVML lists slices apart from the cards."""
    choice = choose_gpus({"CUDA_VISIBLE_DEVICES": "MIG-1234"}, UUIDS, A100)

    assert ("MIG-1234",) == choice.mig_uuids
