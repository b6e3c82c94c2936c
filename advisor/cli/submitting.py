"""``gsbatch`` proper: advise, write, submit, keep a ticket; and submit all the same when any of ours fails."""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TextIO

import advisor.slurm
from advisor.cli.messages import say
from advisor.cli.screens.advice import show_advice
from advisor.errors import AdvisorError, SlurmError, SlurmNotFound
from advisor.inspection.workload import Workload
from advisor.rendering.picks import Pick
from advisor.rendering.render import plain_python_script
from advisor.request.command_line import CommandLine
from advisor.request.job import Job, load_script, read_job
from advisor.request.sbatch_options import words_without_quiet
from advisor.request.script import Script, ScriptKind, python_words
from advisor.submission.environment import submission_environment
from advisor.submission.quiet import quiet_outputs
from advisor.submission.submit import BatchScript, Outputs, Submission, run_sbatch, submit
from advisor.submission.ticket import write_ticket
from advisor.workflows.advise import Advice, advise
from advisor.workflows.new_ticket import new_ticket
from advisor.workflows.time_limit import OutOfTime, time_limit
from advisor.workflows.write_script import render_job

_NO_SLURM_HINT = "Without Slurm: --advise, --print-script or --local, with --inventory FILE."
# sbatch options with which it submits nothing that is ours to shape.
_SBATCH_ALONE = ("version", "usage", "autocomplete", "external")


def submit_job(line: CommandLine, environment: Mapping[str, str]) -> int:
    """Submit with advice where there is any; sbatch's exit status.

    Raises:
        SlurmNotFound: there is no sbatch to submit with.
    """
    if not advisor.slurm.is_installed():
        missing = SlurmNotFound("sbatch")
        missing.hint = _NO_SLURM_HINT
        raise missing
    if line.has(*_SBATCH_ALONE) or line.is_heterogeneous:
        if line.is_heterogeneous:
            say(line, "a heterogeneous job goes to sbatch as it is, without advice")
        return _plain(line, environment, None).returncode
    from_stdin = line.script is None and line.value("wrap") is None
    stdin_data = sys.stdin.buffer.read() if from_stdin else None
    try:
        script = load_script(line, environment, stdin_data)
    except Exception as exc:  # noqa: BLE001 (whatever the script is, sbatch has the last word on it)
        say(line, f"{exc} It goes to sbatch as it is.")
        return _plain(line, environment, stdin_data).returncode
    if script.kind is ScriptKind.UNTOUCHED:
        say(line, f"submitted as it is, without advice or record: {script.note}")
        return _plain(line, environment, stdin_data).returncode
    if script.note:
        say(line, script.note)
    return _submit_script(line, script, environment, stdin_data)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """What could be found out before the submission; None where it could not."""

    job: Job | None
    advice: Advice | None
    ticket_id: str


def _submit_script(line: CommandLine, script: Script, environment: Mapping[str, str], stdin_data: bytes | None) -> int:
    prepared = _prepare(line, script, environment)
    picks = prepared.advice.picks if prepared.advice else ()
    text = _rendered(line, script, environment, prepared, picks)
    if text is None:
        return _plain(line, environment, stdin_data).returncode
    # Where sbatch tells no job id, --wait's failed job cannot be told from a refused one: nothing is tried twice.
    is_silent = line.has("quiet") and not _is_quiet(line)
    can_retry = bool(picks) and not (is_silent and (line.has("wait") or "SBATCH_WAIT" in environment))
    answer = _submit_text(line, script, text, environment, hold_refusal=can_retry)
    followed = bool(picks)
    if answer.returncode != 0 and answer.job_id is None and can_retry:
        reason = answer.held_stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        say(line, f"sbatch refused the job as advised; trying without what advice added ({reason[-1]})")
        followed = False
        text = _rendered(line, script, environment, prepared, ())
        answer = (
            _plain(line, environment, stdin_data) if text is None else _submit_text(line, script, text, environment)
        )
    if answer.job_id is not None and not line.has("test-only"):
        _keep_ticket(line, prepared, answer, followed=followed)
    return answer.returncode


def _prepare(line: CommandLine, script: Script, environment: Mapping[str, str]) -> _Prepared:
    """Read settings and ask for advice; whatever fails is said in one line and left out."""
    job = advice = None
    try:
        job = read_job(line, script, environment)
        with time_limit(job.settings.advice_timeout_s):
            advice = advise(job, tell=partial(say, line))
        show_advice(advice, job, all_placements=False)
    except AdvisorError as exc:
        say(line, f"no advice: {exc}" + (f" {exc.hint}" if exc.hint else ""))
    except OutOfTime:
        limit_s = job.settings.advice_timeout_s if job else 0.0
        say(line, f"no advice: it took longer than {limit_s:g} s (advice_timeout_s)")
    except Exception as exc:  # noqa: BLE001 (a bug of ours must not cost the user a job; the line below reports it)
        say(line, f"no advice: internal error, {type(exc).__name__}: {exc}")
    return _Prepared(job=job, advice=advice, ticket_id=uuid.uuid4().hex)


def _rendered(
    line: CommandLine, script: Script, environment: Mapping[str, str], prepared: _Prepared, picks: tuple[Pick, ...]
) -> str | None:
    """The batch script; the least that runs where the template fails; None where sbatch needs none of ours."""
    job = prepared.job
    python: tuple[str, ...] = ()
    try:
        if script.kind is ScriptKind.PYTHON:
            python = python_words(script, environment=environment, chosen=job.settings.python if job else None)
        if job is not None:
            workload = prepared.advice.recommendation.workload if prepared.advice else Workload()
            return render_job(job, picks, workload, ticket_id=prepared.ticket_id, python=python)
    except AdvisorError as exc:
        say(line, f"submitted without record: {exc}" + (f" {exc.hint}" if exc.hint else ""))
    except Exception as exc:  # noqa: BLE001 (as above)
        say(line, f"submitted without record: internal error, {type(exc).__name__}: {exc}")
    return plain_python_script(script, python) if python else None


def _outputs() -> Outputs:
    return Outputs(partial(_hand_on, sys.stdout), partial(_hand_on, sys.stderr))


def _hand_on(stream: TextIO, data: bytes) -> None:
    with contextlib.suppress(OSError):  # words that nobody takes cost neither the job nor its status, as with sbatch
        while data:
            data = data[os.write(stream.fileno(), data) :]


def _plain(line: CommandLine, environment: Mapping[str, str], stdin_data: bytes | None) -> Submission:
    """Call sbatch with the user's own words."""
    return run_sbatch(
        line.all_words,
        environment=submission_environment(environment),
        outputs=_outputs(),
        stdin_text=None if stdin_data is None else stdin_data.decode("utf-8", "surrogateescape"),
    )


def _submit_text(
    line: CommandLine, script: Script, text: str, environment: Mapping[str, str], *, hold_refusal: bool = False
) -> Submission:
    """Submit generated text: as a file that gives the job its name, or on standard input where none may be written."""
    on_stdin = script.from_stdin or line.has("test-only")
    is_quiet = _is_quiet(line)
    outputs = quiet_outputs(_outputs()) if is_quiet else _outputs()
    batch = BatchScript(
        options=words_without_quiet(line.sbatch_options)
        if is_quiet
        else tuple(word for option in line.sbatch_options for word in option.words),
        text=text,
        name=None if on_stdin else script.name,
        arguments=script.arguments if script.kind is not ScriptKind.PYTHON else (),
    )
    clean = submission_environment(environment)
    try:
        return submit(batch, environment=clean, outputs=outputs, hold_refusal=hold_refusal)
    except SlurmError as exc:
        if isinstance(exc, SlurmNotFound) or batch.name is None:
            raise
        if batch.arguments:
            say(line, f"{exc} The script goes to sbatch as it is.")
            return _plain(line, environment, None)
        say(line, f"{exc} It goes to sbatch on standard input.")
        return submit(replace(batch, name=None), environment=clean, outputs=outputs, hold_refusal=hold_refusal)


def _is_quiet(line: CommandLine) -> bool:
    """Whether our own handling of --quiet stands in for sbatch's, which would not tell the job id.

    Twice --quiet silences errors too, and sbatch refuses it beside --verbose: those are left to sbatch.
    """
    return [option.name for option in line.options if option.name in {"quiet", "verbose"}] == ["quiet"]


def _keep_ticket(line: CommandLine, prepared: _Prepared, answer: Submission, *, followed: bool) -> None:
    """Write the ticket; without one the job is still measured, only not held against a prediction."""
    job, advice = prepared.job, prepared.advice
    if job is None or advice is None or answer.job_id is None:
        return
    try:
        ticket = new_ticket(
            job,
            advice,
            ticket_id=prepared.ticket_id,
            cluster=answer.cluster or advice.cluster_name(),
            job_id=answer.job_id,
            prediction=advice.submitted_prediction(job, accepted=followed),
            followed=followed,
        )
        write_ticket(ticket, job.settings.spool_dir)
    except AdvisorError as exc:
        say(line, f"the prediction is not kept: {exc}")
    except Exception as exc:  # noqa: BLE001 (the job is submitted; nothing of ours may change its exit status now)
        say(line, f"the prediction is not kept: internal error, {type(exc).__name__}: {exc}")
