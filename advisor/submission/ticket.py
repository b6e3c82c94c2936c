"""The ticket: what was advised and predicted for a submitted job, kept beside the job's traces.

File name: ``cluster-jobid.ticket.json``. One ticket serves all tasks of an array and all attempts of a job.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.inspection.workload import Workload
from advisor.prediction.prediction import ModelIdentity, Prediction

TICKET_SCHEMA_VERSION = 1
TICKET_SUFFIX = ".ticket.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Written once, at submission.

    ``prediction`` is of the placement that the job was submitted to, as far as that is known
    (None where the user's own words asked for something the advisor does not predict).

    ``script_sha256`` is of the user's script, not of the generated one. ``followed`` says whether the advice was taken.
    """

    schema: int
    ticket_id: str
    cluster: str
    job_id: str
    submitted_at: str
    user: str
    script_path: str
    script_sha256: str
    arguments: tuple[str, ...]
    workload: Workload
    prediction: Prediction | None
    model: ModelIdentity | None
    objective: str
    followed: bool
