"""When Slurm would start a batch script: what ``sbatch --test-only`` answers, which submits nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from advisor import slurm
from advisor.submission.real_sbatch import sbatch_call

_EXPECTED_START = re.compile(r"^sbatch: Job \d+ to start at (?P<start>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\b", re.MULTILINE)


def ask_expected_start(
    options: Sequence[str], text: str, *, environment: Mapping[str, str], timeout_s: float
) -> str | None:
    """The ISO time, without a zone, at which Slurm would start the script now; None where it would refuse it.

    Args:
        options: the user's own sbatch options.
        text: the batch script.
        environment: what sbatch would be called with.
        timeout_s: a busy controller takes long over a test, and is left alone after that.

    Raises:
        SlurmNotFound: sbatch is not on PATH.
        SlurmCommandFailed: it took longer than ``timeout_s``.
    """
    call = sbatch_call(environment)
    answer = slurm.ask(
        ("sbatch", "--test-only", *options),
        timeout_s=timeout_s,
        stdin_text=text,
        environment=call.environment,
        program=call.program,
    )
    return parse_expected_start(answer.stderr) if answer.returncode == 0 else None


def parse_expected_start(stderr: str) -> str | None:
    """The time in what ``sbatch --test-only`` prints; None where there is none."""
    match = _EXPECTED_START.search(stderr)
    return match["start"] if match else None
