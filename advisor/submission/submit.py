"""Batch script -> job id, through the real sbatch: its stdout, its stderr and its exit status are handed on."""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor import slurm
from advisor.errors import SlurmError
from advisor.submission.real_sbatch import sbatch_call

_HELP_TIMEOUT_S = 5.0
_SUBMITTED = re.compile(
    r"^(?:Submitted batch job (?P<job_id>\d+)(?: on cluster (?P<cluster>\S+))?"
    r"|(?P<parsable_id>\d+)(?:;(?P<parsable_cluster>\S+))?)$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchScript:
    """What is submitted: options as the user wrote them, the script's text, its arguments.

    ``name`` becomes the file's name, after which sbatch names the job; None submits the text on standard input,
    which takes no arguments and leaves no file behind, not even for a moment.
    """

    options: tuple[str, ...]
    text: str
    name: str | None
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What sbatch answered. ``job_id`` is None where it printed none; ``held_stderr`` was not handed on."""

    returncode: int
    job_id: str | None
    cluster: str | None
    held_stderr: bytes = b""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where sbatch's output goes as it comes; ``begin`` is called before sbatch is."""

    stdout: Callable[[bytes], None]
    stderr: Callable[[bytes], None]
    begin: Callable[[], None] = lambda: None


def submit(
    script: BatchScript, *, environment: Mapping[str, str], outputs: Outputs, hold_refusal: bool = False
) -> Submission:
    """Submit a generated script.

    Args:
        script: what to submit.
        environment: sbatch's, and through it the job's.
        outputs: where sbatch's output goes.
        hold_refusal: keep stderr back until a job id was printed, so that a refused submission can be tried anew
            with other options; what was kept of a refusal is in the answer, and of anything else is handed on.

    Raises:
        SlurmNotFound: sbatch is not on PATH.
        SlurmError: the script cannot be handed to sbatch.
    """
    if script.name is None:
        return run_sbatch(
            script.options, environment=environment, outputs=outputs, stdin_text=script.text, hold_refusal=hold_refusal
        )
    try:
        folder = tempfile.TemporaryDirectory(prefix="gsbatch-", ignore_cleanup_errors=True)
    except OSError as exc:
        raise SlurmError(f"The batch script cannot be written: {exc.strerror}.") from exc
    with folder as path:
        file = Path(path) / script.name
        try:
            file.write_text(script.text, encoding="utf-8", errors="surrogateescape")  # paths may be of any bytes
            file.chmod(0o700)
        except OSError as exc:
            raise SlurmError(f"The batch script cannot be written: {exc.strerror}.") from exc
        arguments = (*script.options, str(file), *script.arguments)
        return run_sbatch(arguments, environment=environment, outputs=outputs, hold_refusal=hold_refusal)


def run_sbatch(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    outputs: Outputs,
    stdin_text: str | None = None,
    hold_refusal: bool = False,
) -> Submission:
    """Run sbatch with these arguments; see ``submit``."""
    said = bytearray()
    held = bytearray()

    def on_stdout(data: bytes) -> None:
        said.extend(data)
        outputs.stdout(data)
        if held:
            outputs.stderr(bytes(held))
            held.clear()

    def on_stderr(data: bytes) -> None:
        if hold_refusal and not said:
            held.extend(data)
        else:
            outputs.stderr(data)

    call = sbatch_call(environment)
    outputs.begin()
    returncode = slurm.converse(
        ("sbatch", *arguments),
        environment=call.environment,
        stdin_text=stdin_text,
        on_stdout=on_stdout,
        on_stderr=on_stderr,
        program=call.program,
    )
    if held and returncode == 0:
        outputs.stderr(bytes(held))
        held.clear()
    job_id, cluster = parse_job_id(said.decode("utf-8", "replace"))
    return Submission(returncode=returncode, job_id=job_id, cluster=cluster, held_stderr=bytes(held))


def parse_job_id(stdout: str) -> tuple[str | None, str | None]:
    """The job id and, where sbatch names one, the cluster; ``Submitted batch job N`` and ``--parsable``'s form."""
    match = _SUBMITTED.search(stdout)
    if match is None:
        return None, None
    return match["job_id"] or match["parsable_id"], match["cluster"] or match["parsable_cluster"]


@functools.cache
def plugin_option_takes_value(name: str) -> bool:
    """Whether ``sbatch --help`` lists an option that our table does not have, and lists it with a value.

    For a site's SPANK plugins and for releases newer than this program: without a controller being asked, and only
    when such an option stands before an argument that could be its value. Without an answer it is taken as a flag.
    """
    try:
        call = sbatch_call(os.environ)
        answer = slurm.ask(
            ("sbatch", "--help"), timeout_s=_HELP_TIMEOUT_S, environment=call.environment, program=call.program
        )
        text = answer.stdout
    except SlurmError:
        return False
    return re.search(rf"--{re.escape(name)}=", text) is not None
