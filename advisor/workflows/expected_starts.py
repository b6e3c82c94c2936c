"""The expected start of the first placements, for a person who looks before submitting."""

from __future__ import annotations

from dataclasses import replace

from advisor.errors import AdvisorError
from advisor.inventory.described import BACKEND as DESCRIBED
from advisor.recommendation.recommendation import RankedPlacement
from advisor.request.job import Job
from advisor.submission.environment import submission_environment
from advisor.submission.expected_start import ask_expected_start
from advisor.workflows.advise import Advice, picks_for
from advisor.workflows.write_script import python_of, render_job

# Each answer is a scheduling test in the controller that all share; the first placements are what a person compares.
_MOST_ASKED = 4


def with_expected_starts(job: Job, advice: Advice) -> Advice:
    """The advice with the expected start of its first placements, where a Slurm that would run them can be asked.

    The RAM variants of a placement wait for the same GPUs: only the first of them is asked about. Whatever cannot be
    asked stays unknown.
    """
    if advice.inventory.backend == DESCRIBED or job.asked.tied_by is not None:
        return advice
    asked: dict[tuple[object, ...], str | None] = {}
    ranked = []
    for item in advice.recommendation.ranked:
        placement = item.prediction.placement
        key = (placement.partition, placement.gres_type, placement.gpu.name, placement.gpus, placement.nodes)
        if key not in asked and len(asked) < _MOST_ASKED:
            asked[key] = _expected_start(job, advice, item)
        ranked.append(_starting(item, asked.get(key)))
    return replace(advice, recommendation=replace(advice.recommendation, ranked=tuple(ranked)))


def _expected_start(job: Job, advice: Advice, item: RankedPlacement) -> str | None:
    try:
        picks, workload = picks_for(job, item, advice.inventory), advice.recommendation.workload
        return ask_expected_start(
            job.line.option_arguments,
            render_job(job, picks, workload, ticket_id="unsubmitted", python=python_of(job)),
            environment=submission_environment(job.environment),
            timeout_s=job.settings.slurm_timeout_s,
        )
    except AdvisorError:
        return None


def _starting(item: RankedPlacement, start: str | None) -> RankedPlacement:
    placement = replace(item.prediction.placement, expected_start=start)
    return replace(item, prediction=replace(item.prediction, placement=placement))
