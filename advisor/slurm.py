"""The only file that runs a Slurm command: argv in, text out, errors translated."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from advisor.errors import SlurmCommandFailed, SlurmNotFound

QUERY_TIMEOUT_S = 15.0


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
) -> Answer:
    """Run a Slurm command and return all it said; a failing status is the caller's to judge.

    Output is read as the locale's UTF-8 with undecodable bytes kept visible: job names are written by users. Times are
    asked for in ISO form, because sites change SLURM_TIME_FORMAT.

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
            check=False,
        )
    except (FileNotFoundError, PermissionError) as exc:
        raise SlurmNotFound(argv[0]) from exc
    except subprocess.TimeoutExpired as exc:
        raise SlurmCommandFailed(" ".join(argv), None, "") from exc
    return Answer(done.returncode, done.stdout, done.stderr)


def is_installed() -> bool:
    """Whether sbatch is on PATH; says nothing about the controller."""
    return shutil.which("sbatch") is not None
