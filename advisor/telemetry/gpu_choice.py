"""Which of a node's GPUs are the job's own. Unsure means none: a neighbour's energy is never charged to the job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """Positions in NVML's order, UUIDs of MIG slices (which NVML lists apart), and a note where one is needed."""

    indices: tuple[int, ...] = ()
    mig_uuids: tuple[str, ...] = ()
    note: str | None = None


def choose_gpus(
    environment: Mapping[str, str],
    uuids: Sequence[str],
    names: Sequence[str],
    in_cgroup: Callable[[], Sequence[int] | None] = lambda: None,
) -> Choice:
    """Choose by what Slurm and CUDA say in the environment.

    Args:
        environment: the job's variables.
        uuids: of the GPUs that NVML lists, in its order (that of the PCI bus). Inside a device cgroup NVML lists only
            the job's own.
        names: their models, in the same order.
        in_cgroup: asked only where no variable names a GPU: the positions that a device cgroup leaves to the job, or
            None where there is no such cgroup.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return _without_cuda_variable(environment, uuids, names, in_cgroup)
    words = [word.strip() for word in visible.split(",") if word.strip()]
    if not words or words[0].lower() in {"nodevfiles", "void", "none", "-1"}:
        return Choice(note="CUDA_VISIBLE_DEVICES hides every GPU")
    if all(word.startswith("MIG-") for word in words):
        return Choice(mig_uuids=tuple(words), note="MIG slices: NVML gives their memory, not their power")
    if all(word.startswith("GPU-") for word in words):
        return _by_uuid(words, uuids)
    return _by_index(visible, uuids, names, environment)


def _without_cuda_variable(
    environment: Mapping[str, str],
    uuids: Sequence[str],
    names: Sequence[str],
    in_cgroup: Callable[[], Sequence[int] | None],
) -> Choice:
    slurm = environment.get("SLURM_STEP_GPUS") or environment.get("SLURM_JOB_GPUS")
    if slurm:
        return _by_index(slurm, uuids, names, environment)
    if "SLURM_JOB_ID" in environment:
        own = in_cgroup()
        return Choice(indices=tuple(own), note="by device cgroup") if own else Choice(note="the job was given no GPU")
    return Choice(indices=tuple(range(len(uuids))), note="outside Slurm: every GPU of this machine")


def _by_uuid(words: Sequence[str], uuids: Sequence[str]) -> Choice:
    """CUDA takes any prefix of a UUID that fits one GPU only."""
    found = []
    for word in words:
        fitting = [index for index, uuid in enumerate(uuids) if uuid.startswith(word)]
        if len(fitting) != 1:
            return Choice(note=f"CUDA_VISIBLE_DEVICES names {word}, which is not one GPU of this node")
        found.append(fitting[0])
    return Choice(indices=tuple(found))


def _by_index(text: str, uuids: Sequence[str], names: Sequence[str], environment: Mapping[str, str]) -> Choice:
    try:
        indices = [int(word) for word in text.split(",")]
    except ValueError:
        return Choice(note=f"'{text}' does not say which GPUs are the job's")
    slurm = environment.get("SLURM_STEP_GPUS") or environment.get("SLURM_JOB_GPUS") or ""
    if slurm and len(slurm.split(",")) == len(uuids):
        # NVML lists as many as the job was given: either all of the node or, in a device cgroup, only the job's own.
        return Choice(indices=tuple(range(len(uuids))))
    if not all(0 <= index < len(uuids) for index in indices) or len(set(indices)) != len(indices):
        return Choice(note=f"NVML lists {len(uuids)} GPUs; '{text}' does not fit them")
    if len(set(names)) > 1 and not slurm and environment.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        # CUDA counts the fastest first unless told otherwise, NVML by the bus: with mixed models the two differ.
        return Choice(note="mixed GPU models and no CUDA_DEVICE_ORDER=PCI_BUS_ID: the numbers may mean other GPUs")
    return Choice(indices=tuple(indices))


def environment_of_step(environment: Mapping[str, str]) -> dict[str, str]:
    """What a task's variables say of all GPUs that its step has on this node.

    ``SLURM_JOB_GPUS`` is inherited from the batch script and names another node's GPUs; ``CUDA_VISIBLE_DEVICES`` may
    name those of one task alone.
    """
    kept = {name: value for name, value in environment.items() if name != "SLURM_JOB_GPUS"}
    if kept.get("SLURM_STEP_GPUS") and not kept.get("CUDA_VISIBLE_DEVICES", "").startswith("MIG-"):
        kept.pop("CUDA_VISIBLE_DEVICES", None)
    return kept
