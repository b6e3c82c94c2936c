"""What a script's source says of its training, without running any of it: milliseconds, and never a guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.inspection.known_models import known_facts
from advisor.inspection.reading.found import Found, is_of, last_name
from advisor.inspection.reading.interpreter import Interpreter, OutOfSteps
from advisor.inspection.reading.loops import read_loops
from advisor.inspection.reading.trainers import accelerate_precision, read_huggingface, read_keras, read_lightning
from advisor.inspection.reading.values import Call
from advisor.inspection.workload import Fact, Source

_TORCH = frozenset(
    {"torch", "torchvision", "timm", "lightning", "pytorch_lightning", "accelerate", "transformers", "trl"}
)
_BACKENDS = {"tensorflow": "tensorflow", "torch": "pytorch", "jax": "jax"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReading:
    """Facts that the source states, sentences for the user, and the configuration files that were read for them.

    ``table`` are the published figures of the well-known network that it makes. ``trains`` is whether it trains at all.
    """

    facts: Mapping[str, Fact[Any]]
    notes: tuple[str, ...]
    files: tuple[Path, ...]
    table: Mapping[str, Fact[Any]]
    trains: bool


def read_source(
    script: Path,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    module: str | None = None,
) -> SourceReading:
    """Read a training script's source, the modules of its own that it imports and the configuration that it loads.

    Args:
        script: absolute path.
        arguments: what the job gives it; a word with a HOLE is not known.
        environment: the job's.
        folder: the job's working folder.
        module: its name, where it is run as ``python -m``.
    """
    reader = Interpreter(script, arguments, environment=environment, folder=folder, module=module)
    found = Found()
    if not reader.walk():
        note = "its source is too long or broken to be read whole"
        return SourceReading(facts={}, notes=(note,), files=(), table={}, trains=False)
    calls = tuple(reader.calls)
    trains = _read(reader, calls, found)
    if trains:
        _say_framework(reader, found)
        _say_strategy(calls, found)
    return SourceReading(
        facts=found.facts,
        notes=tuple(found.notes),
        files=tuple(reader.files),
        table=known_facts(calls) if trains else {},
        trains=trains,
    )


def _read(reader: Interpreter, calls: Sequence[Call], found: Found) -> bool:
    """Ask each reader of trainings in turn whether this is one of its own."""
    try:
        if read_lightning(calls, found, reader):
            return True
    except (OutOfSteps, RecursionError):  # it walks methods that Lightning calls; what was said so far stands
        return True
    return read_huggingface(calls, found) or read_loops(calls, found) or read_keras(calls, found)


def _say_framework(reader: Interpreter, found: Found) -> None:
    imported = reader.imported
    if "keras" in imported or any(call.name.startswith("keras.") for call in reader.calls):
        backend = reader.environment.get("KERAS_BACKEND")
        if backend in _BACKENDS:
            found.say("backend", backend)
            found.say("framework", _BACKENDS[backend])
        elif not imported & _TORCH and "jax" not in imported:
            found.say("framework", "tensorflow", Source.SOURCE_CODE if "tensorflow" in imported else Source.DEFAULT)
    elif imported & _TORCH and not imported & {"tensorflow", "jax"}:
        found.say("framework", "pytorch")
    elif "tensorflow" in imported and not imported & _TORCH:
        found.say("framework", "tensorflow")
    elif "jax" in imported and not imported & _TORCH:
        found.say("framework", "jax")


def _say_strategy(calls: Sequence[Call], found: Found) -> None:
    names = {last_name(call) for call in calls}
    for name, strategy in (
        ("DistributedDataParallel", "ddp"), ("FullyShardedDataParallel", "fsdp"), ("fully_shard", "fsdp"),
        ("MirroredStrategy", "mirrored"), ("MultiWorkerMirroredStrategy", "multi_worker_mirrored"),
        ("DataParallel", "dp"),
    ):  # fmt: skip
        if name in names:
            found.say("strategy", strategy)
    if any(last_name(call) == "initialize" and is_of(call, "deepspeed") for call in calls):
        found.say("strategy", "deepspeed")
    precision = accelerate_precision(calls)
    if isinstance(precision, str):
        found.facts.pop("precision", None)
        found.say("precision", precision)
