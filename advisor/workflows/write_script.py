"""The batch script of a job."""

from __future__ import annotations

from advisor.inspection.workload import Source, Workload
from advisor.rendering.picks import Pick
from advisor.rendering.recorder_command import recorder_command
from advisor.rendering.render import render
from advisor.request.job import Job
from advisor.settings import NEVER


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
        recorder = recorder_command(
            settings.spool_dir,
            ticket_id=ticket_id,
            energy_budget_j=settings.energy_budget,
            budget_on=settings.budget_on,
            budget_signal=settings.budget_signal,
            min_gain=settings.min_gain,
            gpu_readings=settings.gpu_readings,
            probe=_probe_in_job(settings.probe, workload),
        )
    return render(job.script, picks, template_dir=settings.template_dir, recorder=recorder, python=python)


def _probe_in_job(probe: str, workload: Workload) -> str | None:
    is_known = any(fact.source is Source.PROBE for _name, fact in workload.facts())
    if probe in {"off", NEVER} or is_known:
        return None
    return "on" if probe == "on" else "auto"
