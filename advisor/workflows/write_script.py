"""The batch script of a job."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from advisor.errors import AdvisorError, ScriptError
from advisor.inspection.workload import Source, Workload
from advisor.rendering.picks import Pick
from advisor.rendering.recorder_command import RecorderCommand, recorder_command
from advisor.rendering.recorder_options import RecorderOptions
from advisor.request.job import Job
from advisor.request.script import ScriptKind, interpreter_command
from advisor.settings import NEVER, Settings
from advisor.workflows.advise import Advice, advise_in_time
from advisor.workflows.listener import Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenJob:
    """A job's batch script; ``advice`` is None where there was none."""

    job: Job
    text: str
    advice: Advice | None
    ticket_id: str


def write_job(job: Job, listener: Listener) -> WrittenJob:
    """Advise and write the batch script; it is written although advice may fail, as in a submission.

    Raises:
        ScriptError: the script is not ours to change, or there is no interpreter to run it with.
        RenderingError: see ``render``.
    """
    if job.script.kind is ScriptKind.UNTOUCHED:
        raise ScriptError(f"{job.script.name} is submitted as it is: {job.script.note}.")
    advice = None
    try:
        advice = advise_in_time(job, tell=listener.tell, watch=listener.watch)
        listener.advised(job, advice)
    except AdvisorError as exc:
        listener.tell(f"no advice: {exc.with_hint}")
    ticket_id = new_ticket_id()
    picks, workload = (advice.picks, advice.recommendation.workload) if advice else ((), Workload())
    text = render_job(job, picks, workload, ticket_id=ticket_id, python=python_of(job))
    return WrittenJob(job=job, text=text, advice=advice, ticket_id=ticket_id)


def new_ticket_id() -> str:
    """An id that no other submission has: it joins a ticket with the traces of its job."""
    return uuid.uuid4().hex


def python_of(job: Job) -> tuple[str, ...]:
    """The command that interprets a Python script; empty for any other script.

    Raises:
        ScriptError: no interpreter is found.
    """
    if job.script.kind is not ScriptKind.PYTHON:
        return ()
    return interpreter_command(job.script, environment=job.environment, chosen=job.settings.python)


def render_job(
    job: Job, picks: tuple[Pick, ...], workload: Workload, *, ticket_id: str, python: tuple[str, ...]
) -> str:
    """The batch script of a job, with its recorder unless the user or the site does without.

    Args:
        job: what the user asked for.
        picks: what advice adds to the header.
        workload: what is known of the training.
        ticket_id: kept in the trace.
        python: see ``python_of``.

    Raises:
        RenderingError: see ``render``.
    """
    from advisor.rendering.render import render  # noqa: PLC0415 (loads Jinja2, 23 ms that advice alone does not need)

    recorder = recorder_of(job, workload, ticket_id=ticket_id)
    return render(job.script, picks, template_dir=job.settings.template_dir, recorder=recorder, python=python)


def recorder_of(job: Job, workload: Workload, *, ticket_id: str) -> RecorderCommand | None:
    """The job's recorder; None where the user or the site does without."""
    if not job.settings.record:
        return None
    return recorder_command(recorder_options(job.settings, workload, ticket_id=ticket_id))


def recorder_options(settings: Settings, workload: Workload, *, ticket_id: str) -> RecorderOptions:
    """How the settings say that a job is recorded, whose training is known as ``workload`` says."""
    return RecorderOptions(
        spool=str(settings.spool_dir),
        ticket=ticket_id,
        gpu_readings=None if settings.gpu_readings is None else str(settings.gpu_readings),
        energy_budget_j=settings.energy_budget,
        budget_on=settings.budget_on,
        budget_signal=settings.budget_signal,
        min_gain=None if settings.min_gain is None else str(settings.min_gain),
        probe=_probe_in_job(settings.probe, workload),
    )


def _probe_in_job(probe: str, workload: Workload) -> str | None:
    """A training that was not dry-run before it was submitted is dry-run beside it, where dry runs are wanted."""
    is_known = any(fact.source is Source.PROBE for _name, fact in workload.facts())
    if probe in {"off", NEVER} or is_known:
        return None
    return "on" if probe == "on" else "auto"
