"""``gsbatch --local``: the written script runs here, is recorded, ingested and reported; no Slurm takes part."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import advisor.slurm
from advisor.cli.messages import say
from advisor.cli.screens.report import report_text
from advisor.corpus import store
from advisor.corpus.accounting import accounted_jobs
from advisor.corpus.ingest import ingest
from advisor.corpus.plausibility import LOCAL_PREFIX
from advisor.corpus.spool import read_first_line, trace_entries
from advisor.errors import AdvisorError, ScriptError
from advisor.inventory.site_gpus import catalogue_with
from advisor.prediction.prediction import Prediction
from advisor.request.job import Job
from advisor.request.script import ScriptKind
from advisor.submission.environment import submission_environment
from advisor.submission.ticket import write_ticket
from advisor.telemetry.reading import parse_trace
from advisor.workflows.advise import Advice, site_rates
from advisor.workflows.correction import predicted_anew
from advisor.workflows.find_job import JobSearch
from advisor.workflows.new_ticket import new_ticket

LOCAL_CLUSTER = "local"


def run_locally(job: Job, text: str, advice: Advice | None, *, ticket_id: str) -> int:
    """Run the batch script as a job would run it, then ingest its trace and print the report on stdout.

    The exit status is the training's, 128+n for a signal; recording and reporting never change it.

    Raises:
        ScriptError: the script cannot be started here.
    """
    job_id = f"{LOCAL_PREFIX}{int(time.time())}-{os.getpid()}"
    say(job.line, f"running here as {job_id}")
    status = _run(job, text, job_id)
    if job.settings.record:
        # The spool may hold more than this run, and Slurm may be down for that: the report does without the corpus.
        for what, step in (
            ("not ingested", partial(_remember, job, advice, job_id, ticket_id)),
            ("no report", partial(_report, job, job_id)),
        ):
            try:
                step()
            except AdvisorError as exc:
                say(job.line, f"{what}: {exc}" + (f" {exc.hint}" if exc.hint else ""))
    return status


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


def _remember(job: Job, advice: Advice | None, job_id: str, ticket_id: str) -> None:
    """Keep the ticket, then bring the corpus up to date."""
    if advice is not None:
        ticket = new_ticket(
            job,
            advice,
            ticket_id=ticket_id,
            cluster=LOCAL_CLUSTER,
            job_id=job_id,
            prediction=_prediction_for_this_machine(job, advice, job_id),
            followed=False,
        )
        write_ticket(ticket, job.settings.spool_dir)
    with store.writing(job.settings.corpus) as db:
        ingest(
            db,
            job.settings.spool_dir,
            accounted_jobs if advisor.slurm.is_installed() else lambda _ids: (),
            uid=os.geteuid(),
            now_s=time.time(),
        )


def _prediction_for_this_machine(job: Job, advice: Advice, job_id: str) -> Prediction | None:
    """The prediction for the GPU that was measured here; None where none of the placements has it."""
    catalogue = catalogue_with(job.settings.gpu_catalogue)
    measured = {catalogue.identify(name).name for name in _measured_gpus(job, job_id)}
    for ranked in advice.recommendation.ranked:
        placement = ranked.prediction.placement
        if measured == {placement.gpu.name} and placement.nodes == 1:
            return ranked.prediction
    say(
        job.line,
        "the prediction above is for GPUs that this machine does not have; what was measured here stands alone",
    )
    return None


def _measured_gpus(job: Job, job_id: str) -> tuple[str, ...]:
    for entry in trace_entries(job.settings.spool_dir):
        if job_id in entry.path.name:
            return tuple(gpu.name for gpu in parse_trace(read_first_line(entry.path)).header.gpus)
    return ()


def _report(job: Job, job_id: str) -> None:
    settings = job.settings
    search = JobSearch(job_id=job_id, settings=settings, uid=os.geteuid(), now_s=time.time())
    for record in search.records():
        run = predicted_anew(record.run, settings)
        sys.stdout.write(report_text(run, record.course, site_rates(settings), settings.currency) + "\n")
    for remark in search.remarks:
        say(job.line, remark)
