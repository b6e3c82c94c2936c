"""When Slurm would start the first placements; asked for ``--advise`` and ``--json`` only."""

from __future__ import annotations

from dataclasses import replace

from advisor.errors import AdvisorError
from advisor.inventory.described import BACKEND as DESCRIBED
from advisor.placement.placement import Placement
from advisor.recommendation.recommendation import RankedPlacement
from advisor.request.job import Job
from advisor.submission.environment import submission_environment
from advisor.submission.expected_start import ask_expected_start
from advisor.workflows.advise import Advice, picks_for
from advisor.workflows.write_script import python_of, render_job

# Each answer is a scheduling test in the controller that all share; the first placements are what a person compares.
_MOST_ASKED = 4


def with_expected_starts(advice: Advice) -> Advice:
    """The advice with the expected start of its first placements, where a Slurm that would run them can be asked.

    The RAM variants of a placement wait for the same GPUs: only the first of them is asked about. Whatever cannot be
    asked stays unknown. A tie goes to the placement where the run would end first.
    """
    job = advice.job
    if advice.inventory.backend == DESCRIBED or job.asked.tied_by is not None:
        return advice
    asked: dict[tuple[object, ...], str | None] = {}
    for item in advice.recommendation.ranked:
        where = _where(item.prediction.placement)
        if where not in asked and len(asked) < _MOST_ASKED:
            asked[where] = _expected_start(job, advice, item)
    predictions = tuple(
        replace(found, placement=replace(found.placement, expected_start=asked.get(_where(found.placement))))
        for found in advice.predictions
    )
    recommendation = advice.rank_again(predictions)
    best = recommendation.recommended
    picks = () if best is None else picks_for(job, best, advice.inventory)
    return replace(advice, recommendation=recommendation, picks=picks, predictions=predictions)


def _where(placement: Placement) -> tuple[object, ...]:
    return placement.partition, placement.gres_type, placement.gpu.name, placement.gpus, placement.nodes


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
