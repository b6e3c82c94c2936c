"""Run a training script up to where its training would begin, in a confined child of the user's own interpreter."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from advisor.inspection.confine import CANNOT_CONFINE
from advisor.units import GIB

PROBE = Path(__file__).parents[1] / "injected" / "gsbatch_inside" / "probe"
WALL_S = 60.0
# After its first fit a script may go on to a second one; this is how long it may take to get there.
AFTER_FIT_S = 10.0
_CPU_S = 90
_MEMORY_BYTES = 6 * GIB
_MOST_BYTES = 4 * 1024**2
_KILL_GRACE_S = 2.0
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a dry run found: facts of each phase in order, sentences for the user, and how it ended.

    ``ended`` is ``end``, ``exit N``, ``error ...``, ``time``, ``interrupted``, ``unconfined`` (this kernel cannot keep
    it from writing, so nothing was run) or ``killed``.
    """

    phases: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    ended: str
    seconds: float


def dry_run(
    script: Path,
    arguments: Sequence[str],
    *,
    interpreter: Sequence[str],
    environment: Mapping[str, str],
    unconfined: bool = False,
    wall_s: float = WALL_S,
) -> DryRun:
    """Start the script, collect what it says, end it and all that it started; its own mistakes are part of the answer.

    Args:
        script: absolute path.
        arguments: what the user gave it.
        interpreter: absolute words, such as ``/home/u/venv/bin/python``.
        environment: the user's.
        unconfined: run also where the kernel cannot keep the script from writing.
        wall_s: the longest it may take.
    """
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gsbatch-probe-", ignore_cleanup_errors=True) as scratch:
        reader, writer = os.pipe()
        specification = {
            "script": str(script),
            "arguments": list(arguments),
            "descriptor": writer,
            "scratch": scratch,
            "wall_s": wall_s,
            "after_fit_s": AFTER_FIT_S,
            "gpus": 1,
            "unconfined": unconfined,
        }
        _adopt_orphans()
        others = frozenset(process.pid for process in psutil.Process().children(recursive=True))
        limits = [scratch, str(_MEMORY_BYTES), str(_CPU_S)]
        child = subprocess.Popen(
            [sys.executable, "-I", "-m", "advisor.inspection.confine", *limits, *interpreter, str(PROBE),
             json.dumps(specification)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(writer,),
            start_new_session=True,
            env=_environment(environment, scratch, unconfined=unconfined),
        )  # fmt: skip
        os.close(writer)
        try:
            text, how = _listen(reader, begun + wall_s + _KILL_GRACE_S)
        finally:
            os.close(reader)
            _end(child, others)
    phases, notes, ended = read_messages(text)
    if child.returncode == CANNOT_CONFINE:
        ended = "unconfined"
    return DryRun(phases=phases, notes=notes, ended=how or ended, seconds=time.monotonic() - begun)


def read_messages(text: str) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...], str]:
    """The dry run's lines as phases, notes and how it ended; lines that are none of ours are passed over."""
    phases: dict[int, dict[str, Any]] = {}
    notes: list[str] = []
    ended = "killed"
    for message in _messages(text):
        if isinstance(message.get("phase"), int) and isinstance(message.get("facts"), dict):
            phases.setdefault(message["phase"], {}).update(message["facts"])
        if isinstance(message.get("note"), str):
            notes.append(message["note"])
        if isinstance(message.get("ended"), str):
            ended = message["ended"]
    return tuple(phases[number] for number in sorted(phases)), tuple(notes), ended


def _messages(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict):
            yield message


def _listen(reader: int, until: float) -> tuple[str, str | None]:
    """Read until the dry run closes its pipe, its time is up, or the user presses Ctrl-C."""
    pieces: list[bytes] = []
    how = None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(reader, selectors.EVENT_READ)
            while sum(map(len, pieces)) < _MOST_BYTES:
                if not selector.select(max(until - time.monotonic(), 0.0)):
                    how = "time"
                    break
                piece = os.read(reader, 65536)
                if not piece:
                    break
                pieces.append(piece)
    except KeyboardInterrupt:
        how = "interrupted"
    return b"".join(pieces).decode("utf-8", "replace"), how


def _adopt_orphans() -> None:
    """Make this process the parent of what the script leaves behind, in whatever session that hides."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end(child: subprocess.Popen[bytes], others: frozenset[int]) -> None:
    """End the whole process group, then every process that left it: nothing of the script stays on a login node."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    until = time.monotonic() + _KILL_GRACE_S
    while time.monotonic() < until:
        left = [process for process in psutil.Process().children(recursive=True) if process.pid not in others]
        if not left:
            return
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=0.1)


def _environment(environment: Mapping[str, str], scratch: str, *, unconfined: bool) -> dict[str, str]:
    """The user's environment, without GPUs, hubs, trackers, threads and Slurm."""
    changed = {
        **environment,
        "CUDA_VISIBLE_DEVICES": "-1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
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
    changed.pop("GSBATCH_UNCONFINED", None)
    return changed | ({"GSBATCH_UNCONFINED": "1"} if unconfined else {})
