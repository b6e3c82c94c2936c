"""What ``gsbatch`` does when it submits.

All that a submission needs is loaded with this module: a broken installation is found before anything was done, and
sbatch can be called in its place.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TextIO

from advisor.cli.gsbatch_listener import listener_for
from advisor.cli.supervised import Child
from advisor.request.command_line import CommandLine
from advisor.submission.submit import Outputs
from advisor.workflows.submit import submit_job


def run_submission(line: CommandLine, environment: Mapping[str, str], child: Child) -> int:
    """Submit, in the child that does so; sbatch's exit status.

    Raises:
        SlurmNotFound: there is no sbatch to submit with.
    """
    submission = submit_job(
        line,
        environment,
        read_stdin=sys.stdin.buffer.read,
        outputs=Outputs(partial(_hand_on, sys.stdout), partial(_hand_on, sys.stderr), begin=child.submitting),
        listener=replace(listener_for(line), advice_may_take=child.advice_may_take),
        is_plain=child.is_plain,
    )
    return submission.returncode


def _hand_on(stream: TextIO, data: bytes) -> None:
    with contextlib.suppress(OSError):  # output that nobody reads costs neither the job nor its status, as with sbatch
        while data:
            data = data[os.write(stream.fileno(), data) :]
