"""Whose GPUs are measured."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from advisor.telemetry.gpu_cgroup import allowed_minors
from advisor.telemetry.gpu_choice import choose_gpus, environment_of_step

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


@pytest.mark.parametrize(
    ("own", "expected"), [(None, ()), ((), ()), ((1, 3), (1, 3))], ids=["no cgroup", "no GPU in it", "two in it"]
)
def test_device_cgroup_has_the_last_word(own: tuple[int, ...] | None, expected: tuple[int, ...]) -> None:
    """Where no variable names a GPU, what the cgroup refuses tells the job's own from the rest."""
    assert expected == choose_gpus({"SLURM_JOB_ID": "1"}, UUIDS, A100, lambda: own).indices
    assert (2,) == choose_gpus({"SLURM_JOB_ID": "1", "SLURM_JOB_GPUS": "2"}, UUIDS, A100, lambda: own).indices


def open_or_refuse(path: Path, flags: int) -> int:
    """Open as a device cgroup would have it: nvidia2 is another job's, nvidia3 has fallen off the bus."""
    if path.name == "nvidia2":
        raise PermissionError(errno.EPERM, "Operation not permitted")
    if path.name == "nvidia3":
        raise OSError(errno.ENODEV, "No such device")
    return os.open(path, flags)


def test_only_a_refusal_tells_gpus_apart(tmp_path: Path) -> None:
    """Without one, all cards may be anybody's."""
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    free = allowed_minors(tmp_path, open_or_refuse)
    for name in ("nvidia2", "nvidia3"):
        (tmp_path / name).touch()

    assert free is None
    assert frozenset({0, 1}) == allowed_minors(tmp_path, open_or_refuse)


def test_step_is_not_charged_for_the_batch_nodes_gpus() -> None:
    """A task inherits the batch script's variables, which name another node's GPUs, or sees one task's alone."""
    inherited = {"SLURM_JOB_ID": "1", "SLURM_JOB_GPUS": "3", "SLURM_STEP_GPUS": "0,1", "CUDA_VISIBLE_DEVICES": "0"}
    without_gpus = {"SLURM_JOB_ID": "1", "SLURM_JOB_GPUS": "3"}
    mig = {"SLURM_JOB_ID": "1", "SLURM_STEP_GPUS": "0", "CUDA_VISIBLE_DEVICES": "MIG-1234"}

    assert (0, 1) == choose_gpus(environment_of_step(inherited), UUIDS, A100).indices
    assert () == choose_gpus(environment_of_step(without_gpus), UUIDS, A100).indices
    assert ("MIG-1234",) == choose_gpus(environment_of_step(mig), UUIDS, A100).mig_uuids


def test_mig_slices_go_by_their_uuid() -> None:
    """NVML lists slices apart from the cards."""
    choice = choose_gpus({"CUDA_VISIBLE_DEVICES": "MIG-1234"}, UUIDS, A100)

    assert ("MIG-1234",) == choice.mig_uuids
