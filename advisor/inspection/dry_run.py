"""Run a training script up to where its training would begin, in a confined child of the user's own interpreter."""

from __future__ import annotations

import json
import math
import os
import time
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advisor.inspection.bounds import Bounds
from advisor.inspection.confine import WAYS
from advisor.inspection.confined_child import run_confined
from advisor.inspection.reads import Reads
from advisor.inspection.scratch import scratch_folder
from advisor.inspection.workload import Fact, Workload

PUBLISHED = "published"  # of a phase: names of the facts that are a data set's published size
PROBE = Path(__file__).parents[1] / "injected" / "gsbatch_inside" / "dry_run"
_MOST_ITEMS = 64
_MOST_LETTERS = 500
_MOST_OF_ANYTHING = 1e30
_NOT_STARTED = "the dry run did not start: "
_KINDS = typing.get_type_hints(Workload)


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a dry run found: facts of each phase in order, sentences for the user, and how it ended.

    ``ended`` is ``end``, ``exit N``, ``error ...``, ``time``, ``interrupted``, ``unconfined`` (this kernel cannot keep
    it in bounds, so nothing was run), or a sentence that says which bound it went beyond. ``reads`` is what of the
    machine it looked at, as far as that is known.
    """

    phases: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    ended: str
    seconds: float
    reads: Reads = field(default_factory=Reads)


def dry_run(
    script: Path,
    arguments: Sequence[str],
    *,
    interpreter: Sequence[str],
    environment: Mapping[str, str],
    module: str | None = None,
    folder: Path | None = None,
    gpus: int = 1,
    unconfined: bool = False,
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
    ways: tuple[str, ...] = WAYS,
    watch: Callable[[str], None] | None = None,
) -> DryRun:
    """Start the script, collect what it says, end it and all that it started; its own mistakes are part of the answer.

    Args:
        script: absolute path.
        arguments: what the user gave it.
        interpreter: absolute words, such as ``/home/u/venv/bin/python``.
        environment: the user's.
        module: its name, where it is run as ``python -m``.
        folder: where it is started, None for this process's own folder.
        gpus: how many GPUs it sees.
        unconfined: run also where the kernel cannot keep the script from writing.
        bounds: the most it may use.
        ways: how it may be kept from writing, the first that works (confine.py).
        watch: is told every second what it is doing, and "" once it has ended.
    """
    begun = time.monotonic()
    with scratch_folder() as scratch:
        specification = {
            "script": str(script),
            "arguments": list(arguments),
            "module": module,
            "scratch": str(scratch),
            "wall_s": bounds.wall_s,
            "after_fit_s": bounds.after_fit_s,
            "gpus": gpus,
            "unconfined": unconfined,
        }
        file = scratch / "specification.json"  # not an argument: those may be longer than one word can be
        file.write_text(json.dumps(specification), encoding="utf-8")
        try:
            heard = run_confined(
                [*interpreter, str(PROBE), str(file)],
                environment=_environment(environment, str(scratch)),
                scratch=scratch,
                bounds=bounds,
                ways=ways,
                folder=folder,
                hear=Progress(script.name, watch).hear if watch else None,
            )
        finally:
            if watch:
                watch("")
    phases, notes, ended = read_messages(heard.text)
    ended = heard.stopped or ended or heard.status
    notes = _without_needless(notes, has_trained=bool(phases))
    return DryRun(
        phases=phases, notes=notes, ended=ended, seconds=time.monotonic() - begun, reads=read_reads(heard.text)
    )


def read_messages(text: str) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...], str]:
    """The dry run's lines as phases, notes and how it ended ("" unsaid); lines that are none of ours are passed over.

    The script holds the descriptor too: values of a size or kind that no fact has are left out.
    """
    phases: dict[int, dict[str, Any]] = {}
    notes: list[str] = []
    ended = ""
    for message in _messages(text):
        if isinstance(message.get("phase"), int) and isinstance(message.get("facts"), dict):
            facts = {name: value for name, value in message["facts"].items() if _is_of_kind(name, value)}
            phase = phases.setdefault(message["phase"], {})
            phase.update(facts)
            if "published" in message and _is_plain(message["published"]):
                phase[PUBLISHED] = message["published"]
        if isinstance(message.get("note"), str):
            notes.append(message["note"][:_MOST_LETTERS])
        if isinstance(message.get("ended"), str):
            ended = message["ended"][:_MOST_LETTERS]
    return tuple(phases[number] for number in sorted(phases)), tuple(notes), ended


def _without_needless(notes: Sequence[str], *, has_trained: bool) -> tuple[str, ...]:
    """The notes without programs that were not started, where the script went on to its training all the same."""
    kept = [note for note in notes if not note.startswith(_NOT_STARTED)]
    programs = [note[len(_NOT_STARTED) :] for note in notes if note.startswith(_NOT_STARTED)]
    if programs and not has_trained:
        more = f" and {len(programs) - 3} more" if len(programs) > 3 else ""  # noqa: PLR2004 (three are named)
        kept.append(f"programs that it would have started and a dry run does not: {', '.join(programs[:3])}{more}")
    return tuple(kept)


class Progress:
    """What a dry run is doing, told once a second: the line of the user's own code that is being run."""

    def __init__(self, name: str, watch: Callable[[str], None]) -> None:
        """``name`` stands for the line until one is known."""
        self._doing, self._watch = name, watch
        self._begun, self._told_s = time.monotonic(), 0
        self._rest = b""

    def hear(self, piece: bytes) -> None:
        """Take what the dry run has said since the last call, which may be nothing."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        self._rest = self._rest[-_MOST_LETTERS:]
        now = [line.decode("utf-8", "replace") for line in lines if line.startswith(b'{"now": ')]
        for message in _messages("\n".join(now[-1:])):
            doing = str(message.get("now"))
            self._doing = "".join(letter for letter in doing if letter.isprintable())[:_MOST_LETTERS]
        seconds = int(time.monotonic() - self._begun)
        if seconds > self._told_s:
            self._told_s = seconds
            self._watch(f"dry run, {seconds} s: {self._doing}")


def read_reads(text: str) -> Reads:
    """What the dry run says that it looked at."""
    said = [message["reads"] for message in _messages(text) if isinstance(message.get("reads"), dict)]
    return Reads.from_plain(said[-1]) if said else Reads()


def _is_of_kind(name: str, value: object) -> bool:
    """Whether a value may be that fact's; what is no fact of a workload may be any plain value."""
    kind = _KINDS.get(name)
    if kind is None:
        return _is_plain(value)
    if kind == Fact[str]:
        return isinstance(value, str) and _is_plain(value)
    if kind == Fact[tuple[int, ...]]:
        return isinstance(value, list) and _is_plain(value) and all(isinstance(item, int) for item in value)
    return isinstance(value, int | float) and _is_plain(value) and 0 <= value < _MOST_OF_ANYTHING


def _is_plain(value: object, depth: int = 3) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return len(value) <= _MOST_LETTERS
    if isinstance(value, list | dict) and depth:
        items = value.values() if isinstance(value, dict) else value
        return len(value) <= _MOST_ITEMS and all(_is_plain(item, depth - 1) for item in items)
    return isinstance(value, int)


def _messages(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict):
            yield message


def _environment(environment: Mapping[str, str], scratch: str) -> dict[str, str]:
    """The user's environment, without GPUs, hubs, trackers, threads and Slurm."""
    return {
        **environment,
        "CUDA_VISIBLE_DEVICES": "-1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
        "JOBLIB_MULTIPROCESSING": "0",
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SLURM_CONF": os.devnull,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TMPDIR": scratch,
        "TRANSFORMERS_OFFLINE": "1",
        "WANDB_MODE": "disabled",
        "XDG_CACHE_HOME": scratch,
    }
