"""Makes the ticket of a submission."""

from __future__ import annotations

from datetime import datetime, timezone

from advisor.errors import ModelError
from advisor.prediction.prediction import Prediction
from advisor.request.job import Job, spelled
from advisor.submission.ticket import TICKET_SCHEMA_VERSION, Ticket
from advisor.workflows.advise import Advice


def new_ticket(
    job: Job,
    advice: Advice,
    *,
    ticket_id: str,
    cluster: str,
    job_id: str,
    prediction: Prediction | None,
    followed: bool,
) -> Ticket:
    """The ticket of a job that was submitted a moment ago."""
    return Ticket(
        schema=TICKET_SCHEMA_VERSION,
        ticket_id=ticket_id,
        cluster=cluster,
        job_id=job_id,
        submitted_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        user=job.user,
        script_path=job.script_path,
        script_sha256=job.script.sha256,
        arguments=tuple(map(spelled, job.script.arguments)),
        workload=advice.recommendation.workload,
        prediction=_with_methods(advice, prediction),
        model=advice.recommendation.model,
        objective=advice.recommendation.objective,
        followed=followed,
        training=advice.training,
    )


def _with_methods(advice: Advice, prediction: Prediction | None) -> Prediction | None:
    """What every method said is kept, so that the finished job shows which of them was right."""
    if prediction is None:
        return None
    try:
        (found,) = advice.other_methods([prediction])
    except ModelError:  # damaged regressors must not cost the ticket
        return prediction
    return found
