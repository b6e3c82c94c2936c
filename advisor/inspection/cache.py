"""What the last dry run of a script found, as long as nothing that it looked at has changed.

One JSON file per script, arguments, folder and interpreter (storage/json_cache.py). It holds what the dry run found and
the states of all that it looked at: the script, the modules it imports, files it read or looked for, variables it read,
files that its arguments name, and the packages of its interpreter.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import advisor
from advisor.inspection.bounds import Bounds
from advisor.inspection.dry_run import PROBE, DryRun, dry_run
from advisor.inspection.reads import digest, is_unchanged, state_of
from advisor.storage.json_cache import JsonCache

_VERSION = 2
_MOST_ENTRIES = 200
_MOST_BYTES = 1024**2
# Compiled code reads files that are not seen (reads.py in the probe), so nothing is believed for ever.
_MAX_AGE_S = 30 * 86400.0
# Read by compiled code too, where it is not seen.
_PREFIXES = ("JAX_", "KERAS_", "LD_LIBRARY_PATH", "PYTHON", "TF_", "TORCH_", "VIRTUAL_ENV", "XLA_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a dry run is asked for; the arguments of ``dry_run`` that its answer hangs on."""

    script: Path
    arguments: tuple[str, ...]
    interpreter: tuple[str, ...]
    environment: Mapping[str, str]
    module: str | None = None
    folder: Path = field(default_factory=Path.cwd)
    gpus: int = 1


def dry_run_once(
    question: Question,
    *,
    folder: Path | None,
    afresh: bool,
    unconfined: bool,
    tell: Callable[[str], None],
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
    watch: Callable[[str], None] | None = None,
) -> DryRun:
    """Dry-run a script, unless that was done before and would find the same.

    Args:
        question: the script as the job will run it.
        folder: where answers are kept; None keeps none.
        afresh: do it again all the same.
        unconfined: run also where the kernel cannot keep the script from writing.
        tell: is told in one line what is run, before it starts, or that nothing has changed.
        bounds: the most it may use.
        watch: is told every second what it is doing, and "" once it has ended.
    """
    name = question.script.name
    known = None if folder is None or afresh else remembered(folder, question)
    if known is not None:
        tell(f"{name} has not changed since its dry run (--probe=fresh repeats it)")
        return known
    try:
        tell(f"dry-running {name} up to its first training step (--no-probe leaves that out)")
        found = dry_run(
            question.script,
            question.arguments,
            interpreter=question.interpreter,
            environment=question.environment,
            module=question.module,
            folder=question.folder,
            gpus=question.gpus,
            unconfined=unconfined,
            bounds=bounds,
            watch=watch,
        )
    except KeyboardInterrupt:  # Ctrl-C before there was anything to hear, or twice
        return DryRun(phases=(), notes=(), ended="interrupted", seconds=0.0)
    if folder is not None:
        remember(folder, question, found)
    return found


def remembered(folder: Path, question: Question, *, now_s: float | None = None) -> DryRun | None:
    """What a dry run found that would find the same today; None where there is none."""
    entry = _cache(folder).load(_key(question), now_s=time.time() if now_s is None else now_s)
    if entry is None:
        return None
    try:
        if not _is_current(entry, question):
            return None
        found = entry["found"]
        return DryRun(
            phases=tuple(found["phases"]), notes=tuple(found["notes"]), ended=found["ended"], seconds=found["seconds"]
        )
    except (ValueError, KeyError, TypeError, AttributeError):  # a file of ours that something else has changed
        return None


def remember(folder: Path, question: Question, found: DryRun, *, now_s: float | None = None) -> None:
    """Keep what a dry run found, if it came to its end and found a training; one cut short may find more next time."""
    if not found.phases or not found.ended.startswith(("end", "exit", "error")):
        return
    paths = {**found.reads.paths, **_named(question)}
    entry = {
        "states": {path: [kind, *state_of(path, kind)] for path, kind in paths.items()},
        "variables": _values(found.reads.variables, question.environment),
        "found": {name: value for name, value in _plain(found).items() if name != "reads"},
    }
    _cache(folder).save(_key(question), entry, now_s=time.time() if now_s is None else now_s)


def _cache(folder: Path) -> JsonCache:
    return JsonCache(
        folder=folder,
        kind="dry-run",
        version=_VERSION,
        max_age_s=_MAX_AGE_S,
        most_bytes=_MOST_BYTES,
        most_entries=_MOST_ENTRIES,
    )


def _plain(found: DryRun) -> dict[str, Any]:
    return {item.name: getattr(found, item.name) for item in dataclasses.fields(found)}


def _key(question: Question) -> list[object]:
    fixed = {name: value for name, value in question.environment.items() if name.startswith(_PREFIXES)}
    return [
        advisor.__version__,
        _probe_state(),
        str(question.script),
        question.arguments,
        question.module,
        question.interpreter,
        str(question.folder),
        question.gpus,
        sorted(fixed.items()),
    ]


def _probe_state() -> str:
    """The dry run's own code: another one may find more, whatever its version says."""
    states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(PROBE.parent.rglob("*.py"))]
    return digest(json.dumps(states))


def _named(question: Question) -> dict[str, str]:
    """The script, the interpreter and its environment's description, and what the arguments name."""
    interpreter = Path(question.interpreter[0])
    fixed = [question.script, interpreter, interpreter.parent.parent / "pyvenv.cfg"]
    words = [part for word in question.arguments for part in (word, word.partition("=")[2]) if part]
    named = [path for word in words if _exists(path := question.folder / word)]
    return {
        **{str(path): "content" for path in fixed},
        **{str(path.absolute()): "time" if path.is_dir() else "content" for path in named},
    }


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # an argument that cannot be a path
        return False


def _values(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str | None]:
    return {name: digest(environment[name]) if name in environment else None for name in names}


def _is_current(entry: Mapping[str, Any], question: Question) -> bool:
    if _values(entry["variables"], question.environment) != entry["variables"]:
        return False
    return all(
        is_unchanged(path, kind, (glance, settling)) for path, (kind, glance, settling) in entry["states"].items()
    )
