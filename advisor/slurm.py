"""The only file that runs a Slurm command: argv in, text out, errors translated."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from advisor.errors import SlurmCommandFailed, SlurmNotFound

QUERY_TIMEOUT_S = 15.0
_CHUNK_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Answer:
    """What a Slurm command said, whatever its status."""

    returncode: int
    stdout: str
    stderr: str


def run(*argv: str, timeout_s: float = QUERY_TIMEOUT_S) -> str:
    """Run a Slurm query and return its stdout.

    Raises:
        SlurmNotFound: the command is not on PATH.
        SlurmCommandFailed: it ended with an error or took longer than ``timeout_s``.
    """
    answer = ask(argv, timeout_s=timeout_s)
    if answer.returncode != 0:
        raise SlurmCommandFailed(" ".join(argv), answer.returncode, answer.stderr)
    return answer.stdout


def ask(
    argv: Sequence[str],
    *,
    timeout_s: float | None,
    stdin_text: str | None = None,
    environment: Mapping[str, str] | None = None,
    program: str | None = None,
) -> Answer:
    """Run a Slurm command and return all it said; a failing status is the caller's to judge.

    Output is read as the locale's UTF-8 with undecodable bytes kept visible: job names are written by users. Times are
    asked for in ISO form, because sites change SLURM_TIME_FORMAT. ``program`` is the file to run where it is not to be
    looked up by its name.

    Raises:
        SlurmNotFound: the command is not on PATH.
        SlurmCommandFailed: it took longer than ``timeout_s``.
    """
    variables = {**(os.environ if environment is None else environment), "SLURM_TIME_FORMAT": "standard"}
    try:
        done = subprocess.run(
            list(argv),
            input=stdin_text,
            stdin=subprocess.DEVNULL if stdin_text is None else None,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=timeout_s,
            env=variables,
            executable=program,
            check=False,
        )
    except (FileNotFoundError, PermissionError) as exc:
        raise SlurmNotFound(argv[0]) from exc
    except subprocess.TimeoutExpired as exc:
        raise SlurmCommandFailed(" ".join(argv), None, "") from exc
    return Answer(done.returncode, done.stdout, done.stderr)


def converse(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    stdin_text: str | None,
    on_stdout: Callable[[bytes], None],
    on_stderr: Callable[[bytes], None],
    program: str | None = None,
) -> int:
    """Run a Slurm command for as long as it takes, handing on its output as it comes; its exit status.

    For sbatch, whose environment becomes the job's: it is passed as it is. Without ``stdin_text`` the command reads
    our own standard input. A termination signal for us is for the command too. ``program`` is as in ``ask``.

    Raises:
        SlurmNotFound: the command is not on PATH.
    """
    with tempfile.TemporaryFile() as text, selectors.DefaultSelector() as selector:
        if stdin_text is not None:
            text.write(stdin_text.encode("utf-8", "surrogateescape"))
            text.seek(0)
        try:
            child = subprocess.Popen(
                list(argv),
                stdin=None if stdin_text is None else text,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                executable=program,
            )
        except (FileNotFoundError, PermissionError) as exc:
            raise SlurmNotFound(argv[0]) from exc
        with child, _passing_on_sigterm(child):
            for stream, handler in ((child.stdout, on_stdout), (child.stderr, on_stderr)):
                if stream is not None:
                    selector.register(stream, selectors.EVENT_READ, handler)
            while selector.get_map():
                for key, _events in selector.select():
                    data = os.read(key.fd, _CHUNK_BYTES)
                    if data:
                        key.data(data)
                    else:
                        selector.unregister(key.fileobj)
            status = child.wait()
    return status if status >= 0 else 128 - status


@contextlib.contextmanager
def _passing_on_sigterm(child: subprocess.Popen[bytes]) -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: child.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def is_installed() -> bool:
    """Whether sbatch is on PATH; says nothing about the controller."""
    return shutil.which("sbatch") is not None
