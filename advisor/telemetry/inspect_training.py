"""Inspect a training that is going on: ``python -I -m advisor.telemetry.inspect_training --pid N --probe auto``.

Started by the sampler at the first epoch of a job that could not be dry-run when it was submitted. The process that
trains says by its command line, folder and environment what to dry-run and in which interpreter; the training itself
is not touched. The dry run only gets CPU time and disk that nobody wants, never more than a quarter of the job's
memory, and no GPU. What it finds is written to standard output, as one JSON object or not at all.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shlex
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from advisor.inspection.batch_script import script_of_batch
from advisor.inspection.bounds import Bounds
from advisor.inspection.inspect import ScriptToInspect, inspect
from advisor.inspection.workload import Fact, Source
from advisor.storage.plain_data import to_plain
from advisor.units import GIB, MIB

_INJECTED_FOLDER = str(Path(__file__).parents[1] / "injected")
_LEAST_MEMORY_BYTES = GIB
# Where all cores are busy the dry run waits long for its few seconds of CPU time.
_WALL_S, _AFTER_FIT_S = 600.0, 120.0
_PR_SET_PDEATHSIG = 1
_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
# One process stands for all of a distributed training, as in a dry run before submission.
_ALONE = {
    "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1",
    "SLURM_NTASKS": "1", "SLURM_NPROCS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A process as the kernel shows it: its words, its folder, and the environment that it was started with."""

    words: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]


def training_of(pid: int) -> Training | None:
    """The process that trains; None where it has ended, hides what it is, or sees other files than we do."""
    try:
        proc = Path("/proc", str(pid))
        if proc.joinpath("ns", "mnt").readlink() != Path("/proc/self/ns/mnt").readlink():
            return None
        words = proc.joinpath("cmdline").read_bytes().split(b"\0")[:-1]
        pairs = [entry.partition(b"=") for entry in proc.joinpath("environ").read_bytes().split(b"\0")]
        folder = proc.joinpath("cwd").readlink()
    except OSError:
        return None
    return Training(
        words=tuple(map(os.fsdecode, words)),
        folder=folder,
        environment={os.fsdecode(name): os.fsdecode(value) for name, equals, value in pairs if equals},
    )


def script_of(training: Training) -> ScriptToInspect | str:
    """What to dry-run for a training, or in words why nothing."""
    environment = _without_the_hook(training.environment)
    launched = shlex.join(training.words)
    tasks = environment.get("SLURM_NTASKS", "1") if "SLURM_STEP_TASKS_PER_NODE" in environment else "1"
    if tasks != "1" and "WORLD_SIZE" not in environment:
        launched = f"srun --ntasks={tasks} {launched}"
    found = script_of_batch(launched, arguments=(), environment=environment, slurm={}, folder=training.folder)
    world = environment.get("WORLD_SIZE", "1")
    if isinstance(found, str) or not world.isdecimal() or int(world) <= 1:
        return found
    return replace(found, processes=int(world), facts={**found.facts, "devices": Fact(int(world), Source.LAUNCHER)})


def memory_for_dry_run(environment: Mapping[str, str]) -> int | None:
    """Bytes that a dry run may use: a quarter of the job's; None where that is too little for any framework."""
    asked_mib = [
        _count(environment, memory) * _count(environment, of)
        for memory, of in (
            ("SLURM_MEM_PER_NODE", None),
            ("SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"),
            ("SLURM_MEM_PER_GPU", "SLURM_GPUS_ON_NODE"),
        )
    ]
    whole_bytes = max(asked_mib) * MIB or psutil.virtual_memory().available
    quarter_bytes = min(whole_bytes // 4, Bounds().memory_bytes)
    return quarter_bytes if quarter_bytes >= _LEAST_MEMORY_BYTES else None


def _count(environment: Mapping[str, str], name: str | None) -> int:
    text = "1" if name is None else environment.get(name, "")
    return int(text) if text.isdecimal() else 0


def main() -> None:
    """Inspect, and print what was found."""
    parser = argparse.ArgumentParser(prog="gsbatch-inspect-training", description="Started by the sampler.")
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--probe", required=True)
    options = parser.parse_args()
    _end_cleanly()
    _give_way()
    training = training_of(options.pid)
    memory_bytes = memory_for_dry_run(os.environ)
    found = "" if training is None else script_of(training)
    if training is None or isinstance(found, str) or memory_bytes is None:
        return
    os.chdir(training.folder)
    workload = inspect(
        found,
        options={},
        directives={},
        probe=options.probe,
        environment=_of_one_process(_without_the_hook(training.environment)),
        tell=lambda _message: None,
        bounds=Bounds(memory_bytes=memory_bytes, wall_s=_WALL_S, after_fit_s=_AFTER_FIT_S),
    )
    if any(fact.source is Source.PROBE for _name, fact in workload.facts()):
        sys.stdout.write(json.dumps(to_plain(workload)))


def _end_cleanly() -> None:
    """Whatever ends the job, or the sampler, ends the dry run as Ctrl-C would, so that its folder is removed."""
    for number in _ENDING:
        signal.signal(number, signal.default_int_handler)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _give_way() -> None:
    """Take CPU time and disk only where nobody else of the job wants them."""
    os.nice(19)
    psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)


def _of_one_process(environment: Mapping[str, str]) -> dict[str, str]:
    return {**environment, **{name: value for name, value in _ALONE.items() if name in environment}}


def _without_the_hook(environment: Mapping[str, str]) -> dict[str, str]:
    """The training's environment as it was before the recorder put its hook there."""
    kept = {name: value for name, value in environment.items() if not name.startswith("GSBATCH_")}
    entries = [entry for entry in kept.pop("PYTHONPATH", "").split(os.pathsep) if entry not in ("", _INJECTED_FOLDER)]
    return {**kept, "PYTHONPATH": os.pathsep.join(entries)} if entries else kept


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
