"""The batch script of a job."""

from __future__ import annotations

from advisor.inspection.workload import Source, Workload
from advisor.rendering.picks import Pick
from advisor.rendering.recorder_command import recorder_command
from advisor.rendering.recorder_options import RecorderOptions
from advisor.rendering.render import render
from advisor.request.job import Job
from advisor.settings import NEVER, Settings


def render_job(
    job: Job, picks: tuple[Pick, ...], workload: Workload, *, ticket_id: str, python: tuple[str, ...]
) -> str:
    """The batch script of a job, with its recorder unless the user or the site does without.

    What was not dry-run before it was submitted is dry-run beside the training, where dry runs are wanted.

    Raises:
        RenderingError: see ``render``.
    """
    settings = job.settings
    recorder = None
    if settings.record:
        recorder = recorder_command(recorder_options(settings, workload, ticket_id=ticket_id))
    return render(job.script, picks, template_dir=settings.template_dir, recorder=recorder, python=python)


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
    is_known = any(fact.source is Source.PROBE for _name, fact in workload.facts())
    if probe in {"off", NEVER} or is_known:
        return None
    return "on" if probe == "on" else "auto"
