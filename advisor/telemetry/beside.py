"""The one dry run that a job may have beside its training: started, listened to and ended by the sampler."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

from advisor.errors import TelemetryError
from advisor.inspection.workload import Workload
from advisor.storage.plain_data import from_plain

_MOST_BYTES = 1024**2
_PIECE_BYTES = 65536
_END_GRACE_S = 2.0


class DryRunBeside:
    """At most one process, begun when the training has begun; its failure costs its facts and nothing else.

    Args:
        probe: how it is run (the setting ``probe``); None where none is wanted.
        take: is given what it found.
    """

    def __init__(self, probe: str | None, take: Callable[[Workload], None]) -> None:
        self._probe = probe
        self._take = take
        self._child: subprocess.Popen[bytes] | None = None
        self._folder = ""
        self._heard = b""

    def begin(self, training: int) -> None:
        """Start it for the process that trains, unless it has been started before or is not wanted."""
        probe, self._probe = self._probe, None
        if probe is None:
            return
        words = [sys.executable, "-I", "-m", "advisor.telemetry.inspect_training"]
        with contextlib.suppress(OSError):
            self._folder = tempfile.mkdtemp(prefix="gsbatch-beside-")
            self._child = subprocess.Popen(
                [*words, "--pid", str(training), "--probe", probe],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "TMPDIR": self._folder},
            )

    def descriptors(self) -> list[int]:
        """What to wait on for it."""
        return [self._child.stdout.fileno()] if self._child is not None and self._child.stdout is not None else []

    def listen(self, ready: Sequence[int]) -> None:
        """Read what it says, if its descriptor is ready; hand on what it found when it has said all."""
        descriptors = self.descriptors()
        if not set(descriptors) & set(ready):
            return
        piece = os.read(descriptors[0], _PIECE_BYTES)
        self._heard += piece
        if piece and len(self._heard) <= _MOST_BYTES:
            return
        self.end()
        with contextlib.suppress(ValueError, RecursionError, TelemetryError):
            self._take(from_plain(Workload, json.loads(self._heard), where="workload"))

    def end(self) -> None:
        """End it if it still runs, and remove its files: on a busy node it may be too slow to do so itself."""
        child, self._child = self._child, None
        if child is not None:
            self._end(child)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    @staticmethod
    def _end(child: subprocess.Popen[bytes]) -> None:
        child.terminate()
        try:
            child.wait(_END_GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()
