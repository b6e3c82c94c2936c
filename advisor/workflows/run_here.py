"""``gsbatch --local``: runs the written script on this machine, records and ingests it, without Slurm."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from advisor.corpus.plausibility import LOCAL_PREFIX
from advisor.corpus.spool import list_spool, read_header
from advisor.errors import AdvisorError, ScriptError
from advisor.inventory.site_gpus import catalogue_with
from advisor.prediction.prediction import Prediction
from advisor.request.job import Job
from advisor.request.script import ScriptKind
from advisor.submission.environment import submission_environment
from advisor.submission.ticket import write_ticket
from advisor.workflows.advise import Advice
from advisor.workflows.find_job import JobAttempt, find_job
from advisor.workflows.ingest_spool import ingest_spool
from advisor.workflows.new_ticket import new_ticket
from advisor.workflows.write_script import WrittenJob

LOCAL_CLUSTER = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRun:
    """``status`` is the training's exit status, 128+n for a signal; ``attempts`` is what was measured of it."""

    status: int
    attempts: tuple[JobAttempt, ...]


def run_here(written: WrittenJob, *, tell: Callable[[str], None]) -> LocalRun:
    """Run a batch script as a job would run it, ingest its trace and read what was measured.

    Recording never changes the exit status. What cannot be ingested or read is told in one line: the spool may hold
    more than this run, and Slurm may be down for that.

    Raises:
        ScriptError: the script cannot be started here.
    """
    job = written.job
    job_id = f"{LOCAL_PREFIX}{int(time.time())}-{os.getpid()}"
    tell(f"running here as {job_id}")
    status = _run(job, written.text, job_id)
    attempts: tuple[JobAttempt, ...] = ()
    if job.settings.record:
        try:
            _remember(written, job_id, tell)
        except AdvisorError as exc:
            tell(f"not ingested: {exc.with_hint}")
        try:
            attempts = find_job(job_id, job.settings, tell=tell)
        except AdvisorError as exc:
            tell(f"no report: {exc.with_hint}")
    return LocalRun(status=status, attempts=attempts)


def _run(job: Job, text: str, job_id: str) -> int:
    environment = submission_environment({**job.environment, "SLURM_JOB_ID": job_id})
    environment |= {"SLURM_JOB_ID": job_id, "SLURM_CLUSTER_NAME": LOCAL_CLUSTER, "SLURM_SUBMIT_DIR": str(Path.cwd())}
    with tempfile.TemporaryDirectory(prefix="gsbatch-") as folder:
        script = Path(folder) / job.script.name
        script.write_text(text, encoding="utf-8")
        script.chmod(0o700)
        arguments = () if job.script.kind is ScriptKind.PYTHON else job.script.arguments
        try:
            child = subprocess.Popen([str(script), *arguments], env=environment, cwd=job.line.value("chdir"))
        except OSError as exc:
            raise ScriptError(f"The written script cannot be started here: {exc.strerror}.") from exc
        while True:
            # Ctrl-C reaches the training by itself; what it makes of it is its business, and its trace is still wanted.
            with contextlib.suppress(KeyboardInterrupt):
                status = child.wait()
                return status if status >= 0 else 128 - status


def _remember(written: WrittenJob, job_id: str, tell: Callable[[str], None]) -> None:
    """Keep the ticket, then bring the corpus up to date."""
    job, advice = written.job, written.advice
    if advice is not None:
        ticket = new_ticket(
            job,
            advice,
            ticket_id=written.ticket_id,
            cluster=LOCAL_CLUSTER,
            job_id=job_id,
            prediction=_prediction_for_this_machine(job, advice, job_id, tell),
            followed=False,
        )
        write_ticket(ticket, job.settings.spool_dir)
    ingest_spool(job.settings, of_all_users=False, needs_slurm=False)


def _prediction_for_this_machine(
    job: Job, advice: Advice, job_id: str, tell: Callable[[str], None]
) -> Prediction | None:
    """The prediction for the GPU that was measured here; None where none of the placements has it."""
    catalogue = catalogue_with(job.settings.gpu_catalogue)
    measured = {catalogue.identify(name).name for name in _measured_gpus(job, job_id)}
    for ranked in advice.recommendation.ranked:
        placement = ranked.prediction.placement
        if measured == {placement.gpu.name} and placement.nodes == 1:
            return ranked.prediction
    tell("the prediction above is for GPUs that this machine does not have; what was measured here stands alone")
    return None


def _measured_gpus(job: Job, job_id: str) -> tuple[str, ...]:
    for entry in list_spool(job.settings.spool_dir).entries:
        if job_id in entry.path.name:
            return tuple(gpu.name for gpu in read_header(entry.path).gpus)
    return ()
