"""What a script's source says of its training, without running any of it: milliseconds, and never a guess."""

from __future__ import annotations

import ast
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from advisor.inspection.frameworks import PACKAGES, packages_on
from advisor.inspection.known_models import is_model_name, known_facts
from advisor.inspection.reading.found import HUGGING_FACE, LIGHTNING, Found, is_of, is_optimizer_name, last_name
from advisor.inspection.reading.loops import read_loops
from advisor.inspection.reading.program import read_program
from advisor.inspection.reading.reach import Reach
from advisor.inspection.reading.resolve import OutOfSteps, Resolver
from advisor.inspection.reading.trainers import accelerate_precision, read_huggingface, read_keras, read_lightning
from advisor.inspection.reading.values import Call, Dotted, Made
from advisor.inspection.workload import Fact, Source

_KERAS = packages_on("keras") | PACKAGES["tensorflow"]
_TORCH = packages_on("pytorch")
_STRATEGIES = {
    "DistributedDataParallel": "ddp", "FullyShardedDataParallel": "fsdp", "fully_shard": "fsdp",
    "MirroredStrategy": "mirrored", "MultiWorkerMirroredStrategy": "multi_worker_mirrored", "DataParallel": "dp",
}  # fmt: skip
_WANTED = frozenset(
    {"backward", "apply_gradients", "train_on_batch", "minimize", "apply_updates", "fit", "fit_generator", "compile",
     "train", "step", "partial", "LightningCLI", "DataLoader", "autocast", "GradScaler", "Accelerator", "Fabric",
     "set_global_policy", "set_dtype_policy", "set_policy", "set_default_dtype", "to", "half", "bfloat16",
     "initialize", "from_pretrained", "create_model", "get_model", "load", "RandomResizedCrop", "CenterCrop",
     "RandomCrop", *_STRATEGIES}
)  # fmt: skip
_SPAWNING = frozenset({"spawn", "start_processes", "Process"})
_BACKENDS = {"tensorflow": "tensorflow", "torch": "pytorch", "jax": "jax"}


class Spread(enum.Enum):
    """How a trainer takes all GPUs that it finds."""

    PROCESSES = "a process for each, with its own batch"  # Lightning
    DATA_PARALLEL = "one process, with a batch as many times as large"  # Hugging Face


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReading:
    """Facts that the source states, sentences for the user, and the configuration files that were read for them.

    ``table`` are the published figures of the well-known network that it makes. ``trains`` is whether it trains at all,
    ``imported`` the packages that it and its own modules import, None where that cannot be told. ``spawns`` is whether
    it starts processes of its own, which may train together, ``spread`` how its trainer takes all GPUs that it finds.
    """

    facts: Mapping[str, Fact[Any]]
    notes: tuple[str, ...]
    files: tuple[Path, ...]
    table: Mapping[str, Fact[Any]]
    trains: bool
    imported: frozenset[str] | None
    spawns: bool = False
    spread: Spread | None = None


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
        arguments: what the job gives it; an argument with a HOLE is not known.
        environment: the job's.
        folder: the job's working folder.
        module: its name, where it is run as ``python -m``.
    """
    # Where Python looks for modules first: beside the script, or for "python -m" in the working folder.
    program = read_program(script, script.parent if module is None else folder)
    found = Found()
    reader = None if program is None else Resolver(program, arguments, environment, folder)
    calls = None if reader is None else _calls(reader)
    if reader is None or calls is None:
        note = "its source is too long or broken to be read whole"
        imported = None if program is None else frozenset(program.imported)
        return SourceReading(facts={}, notes=(note,), files=(), table={}, trains=False, imported=imported)
    trains = _read(reader, calls, found)
    if trains:
        _say_framework(reader, calls, found)
        _say_strategy(calls, found)
    return SourceReading(
        facts=found.facts,
        notes=tuple(found.notes),
        files=tuple(reader.files),
        table=known_facts(calls) if trains else {},
        trains=trains,
        imported=frozenset(reader.program.imported),
        spawns=bool(_SPAWNING & reader.sites.keys()),
        spread=_spread(calls) if trains else None,
    )


def _spread(calls: Sequence[Call]) -> Spread | None:
    """How the script's trainer takes all GPUs, None where it takes one, or is told how many."""
    for call in calls:
        if last_name(call) == "Trainer" and is_of(call, *LIGHTNING):
            takes_all = call.made.word("devices", default="auto") in ("auto", -1)
            on_gpus = call.made.word("accelerator", default="auto") in ("auto", "gpu", "cuda")
            return Spread.PROCESSES if takes_all and on_gpus else None
        if last_name(call).endswith("Trainer") and is_of(call, *HUGGING_FACE):
            return Spread.DATA_PARALLEL
    return None


def _is_wanted(node: ast.Call, last: str) -> bool:
    """Whether a call may say something of a training: only these are looked into."""
    return (
        last in _WANTED
        or last.endswith("Trainer")
        or is_optimizer_name(last)
        or is_model_name(last)
        or any(keyword.arg == "padding" for keyword in node.keywords)
        or not isinstance(node.func, ast.Name | ast.Attribute)
    )


def _unwrapped(call: Call) -> Call:
    """``partial(torch.autocast, ...)`` as the call that it stands for."""
    inner = call.made.args[0] if call.made.args and last_name(call) == "partial" else None
    if not isinstance(inner, Dotted):
        return call
    return replace(call, made=Made(inner.name, args=call.made.args[1:], kwargs=call.made.kwargs))


def _calls(reader: Resolver) -> tuple[Call, ...] | None:
    try:
        calls = tuple(Reach(reader).calls(_is_wanted))
        calls = tuple(_unwrapped(call) for call in calls)
        for call in calls:
            if is_model_name(last_name(call)):
                call.made.attributes.update(reader.attributes.assigned_to(call.made))
    except (OutOfSteps, RecursionError):  # too long, or nested deeper than Python itself can follow
        return None
    return calls


def _read(reader: Resolver, calls: Sequence[Call], found: Found) -> bool:
    """Ask each reader of trainings in turn whether this is one of its own."""
    try:
        if read_lightning(calls, found, reader):
            return True
    except (OutOfSteps, RecursionError):  # it looks into methods that Lightning calls; what was said so far stands
        return True
    if read_huggingface(calls, found) or read_loops(calls, found):
        return True
    return bool(reader.program.imported & _KERAS) and read_keras(calls, found)


def _say_framework(reader: Resolver, calls: Sequence[Call], found: Found) -> None:
    imported = reader.program.imported
    if "keras" in imported or any(call.name.startswith("keras.") for call in calls):
        backend = reader.item(Dotted("os.environ"), "KERAS_BACKEND")
        if isinstance(backend, str) and backend in _BACKENDS:
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
    for name, strategy in _STRATEGIES.items():
        if name in names:
            found.say("strategy", strategy)
    if any(last_name(call) == "initialize" and is_of(call, "deepspeed") for call in calls):
        found.say("strategy", "deepspeed")
    precision = accelerate_precision(calls)
    if isinstance(precision, str):
        found.facts.pop("precision", None)
        found.say("precision", precision)
