"""A confined child process that is heard, watched, and ended with all that it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from advisor.inspection.bounds import Bounds, excess, scratch_excess
from advisor.inspection.scratch_files import ScratchFiles
from advisor.units import MIB

_KILL_GRACE_S = 2.0
_EXIT_GRACE_S = 0.5
_LOOK_EVERY_S = 0.1
# A walk over its files, and over all processes of the machine, costs more.
_WIDE_LOOK_EVERY_S = 0.5
_PIECE_BYTES = 65536
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a program wrote to its standard output, and why it was stopped: "" where it ended by itself.

    ``stopped`` is ``time``, ``interrupted`` or a sentence. ``status`` says in words how it ended by itself.
    """

    text: str
    stopped: str
    status: str


def run_confined(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    scratch: Path,
    bounds: Bounds,
    ways: Sequence[str],
    folder: Path | None = None,
    hear: Callable[[bytes], None] | None = None,
) -> Heard:
    """Run a program until it closes its output, goes beyond a bound, or the user presses Ctrl-C; then end all of it.

    Args:
        command: the program and its arguments.
        environment: all that it gets.
        scratch: the only folder that it may write in.
        bounds: the most it may use.
        ways: how it may be kept from writing, the first that works (confine.py).
        folder: where it is started, None for this process's own folder.
        hear: is given what it says as it comes, and nothing now and then.
    """
    _adopt_orphans()
    others = frozenset(process.pid for process in psutil.Process().children(recursive=True))
    limits = f"{bounds.memory_bytes},{bounds.cpu_s},{bounds.file_bytes},{os.getpid()}"
    pieces: list[bytes] = []
    stopped, child = "", None
    files = ScratchFiles(scratch)
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-m", "advisor.inspection.confine", str(scratch), limits, ",".join(ways), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[files.theirs.fileno()],
            env={**environment, "GSBATCH_SCRATCH_FILES": str(files.theirs.fileno())},
            cwd=folder,
        )
        files.theirs.close()
        for piece in _listen(child, files, scratch, bounds):
            if isinstance(piece, str):
                stopped = piece
                break
            pieces.append(piece)
            if hear:
                hear(piece)
    except KeyboardInterrupt:
        stopped = "interrupted"
    except OSError as exc:
        stopped = f"no process could be started: {exc.strerror}"
    finally:
        status = "" if child is None else _end(child, others, grace_s=0.0 if stopped else _EXIT_GRACE_S)
        files.close()
    return Heard(text=b"".join(pieces).decode("utf-8", "replace"), stopped=stopped, status=status)


def _listen(
    child: subprocess.Popen[bytes], files: ScratchFiles, scratch: Path, bounds: Bounds
) -> Iterator[bytes | str]:
    """Hand on what it says until it has ended, nothing now and then, and last as a text why it is to be stopped."""
    if child.stdout is None:
        return
    said_bytes = 0
    now = time.monotonic()
    until, look_at, wide_look_at = now + bounds.wall_s + _KILL_GRACE_S, now, now
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        selector.register(files.ours, selectors.EVENT_READ)
        while now < until:
            ready = {key.fileobj for key, _events in selector.select(_LOOK_EVERY_S)}
            if files.ours in ready and not files.answer():
                selector.unregister(files.ours)
            if child.stdout in ready:
                piece = os.read(child.stdout.fileno(), _PIECE_BYTES)
                if not piece:
                    return
                yield piece
                said_bytes += len(piece)
                if said_bytes > bounds.messages_bytes:
                    yield f"it reported more than {bounds.messages_bytes / MIB:.3g} MiB"
            now = time.monotonic()
            if now < look_at:
                continue
            yield b""
            wide = now >= wide_look_at
            processes = _tree(child.pid) if wide else [psutil.Process(child.pid)]
            too_much = excess(processes, bounds) or (scratch_excess(scratch, processes, bounds) if wide else None)
            if too_much:
                yield too_much
            now = time.monotonic()
            look_at = now + _LOOK_EVERY_S
            wide_look_at = now + _WIDE_LOOK_EVERY_S if wide else wide_look_at
    yield "time"


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _adopt_orphans() -> None:
    """Make this process the parent of what the script leaves behind, in whatever session that hides."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end(child: subprocess.Popen[bytes], others: frozenset[int], *, grace_s: float) -> str:
    """End the whole process group, then every process that left it: nothing of the script stays on a login node.

    Args:
        child: what was started.
        others: processes that have nothing to do with it.
        grace_s: how long it may take to end by itself, so that its status tells how it ended.

    Returns:
        Its status in words.
    """
    try:
        child.wait(grace_s)
        cut_off = False
    except subprocess.TimeoutExpired:
        cut_off = True
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdout is not None:
        child.stdout.close()
    until = time.monotonic() + _KILL_GRACE_S
    while time.monotonic() < until:
        left = [process for process in psutil.Process().children(recursive=True) if process.pid not in others]
        if not left:
            break
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=0.1)
    return "it cut off what it could be heard on" if cut_off else _in_words(child.returncode)


def _in_words(returncode: int) -> str:
    if returncode == -signal.SIGXCPU:
        return "it used up its CPU time"
    if returncode == -signal.SIGKILL:
        return "it was killed, as the kernel does where memory or CPU time is used up"
    if returncode < 0:
        return f"it crashed ({signal.Signals(-returncode).name})"
    return f"it ended without a word (exit status {returncode})"
