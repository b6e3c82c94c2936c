"""What the spool folder, accounting and the corpus know of one job."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from advisor.account import user_name
from advisor.corpus import rows
from advisor.corpus.accounting import AccountedJob, submitted_job
from advisor.corpus.ask_accounting import ask_accounting
from advisor.corpus.attempt import build_attempt, unmeasured_run
from advisor.corpus.belief import JobTicket, NodeTrace, Reader, believed_ticket, believed_trace, place_of, rank_of
from advisor.corpus.plausibility import LOCAL_PREFIX, is_local
from advisor.corpus.run import Run
from advisor.corpus.spool import list_spool, read_header
from advisor.errors import CorpusError, SlurmError, TelemetryError
from advisor.settings import Settings
from advisor.submission.ticket import TICKET_SUFFIX
from advisor.workflows.course import Course, course_of


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAttempt:
    """One attempt of a job; for an attempt from the corpus, ``course`` has epochs only."""

    run: Run
    course: Course = field(default_factory=Course)


def find_job(
    job_id: str, settings: Settings, *, tell: Callable[[str], None], user: str | None = None
) -> tuple[JobAttempt, ...]:
    """All attempts of a job, or of all tasks of an array, oldest first.

    Where a dry run beside the training found more than was known at submission, the prediction is made anew with it.

    Args:
        job_id: ``N``, ``N_task`` or ``local-...``; an array's id stands for all its tasks.
        settings: where to look.
        tell: hears in one line each what could not be looked at.
        user: only this user's; anybody's where it is None.

    Raises:
        CorpusError: nothing is known of the job.
    """
    search = _JobSearch(job_id=job_id, settings=settings, uid=os.geteuid(), now_s=time.time(), user=user, tell=tell)
    return tuple(_with_all_facts(found, settings) for found in search.attempts())


def _with_all_facts(found: JobAttempt, settings: Settings) -> JobAttempt:
    if found.run.found_in_job is None:
        return found
    from advisor.workflows.correction import predicted_anew  # noqa: PLC0415 (loads the predictor, slow and seldom needed)

    return replace(found, run=predicted_anew(found.run, settings))


@dataclass(slots=True, kw_only=True)
class _JobSearch:
    """What to look for, where, for whom. ``uid`` is the reader's, ``now_s`` seconds since 1970."""

    job_id: str
    settings: Settings
    uid: int
    now_s: float
    user: str | None
    tell: Callable[[str], None]
    _accounting_answers: bool = True

    def attempts(self) -> list[JobAttempt]:
        """See ``find_job``.

        The spool folder is newer than the corpus, so what it holds counts; a job that has neither trace nor corpus
        row is shown from its ticket and accounting.

        Raises:
            CorpusError: nothing is known of the job.
        """
        accounted = self._accounted()
        found = {_identity(item.run): item for item in self._from_spool(accounted)}
        for item in self._from_corpus():
            found.setdefault(_identity(item.run), item)
        measured = {key[:2] for key in found}
        for job in accounted:
            if (job.cluster, job.job_id) not in measured:
                run = unmeasured_run(job, self._ticket_of(job))
                found[_identity(run)] = JobAttempt(run=run)
        if not found:
            found = {_identity(item.run): item for item in self._just_submitted()}
        wanted = [item for item in found.values() if self.user is None or item.run.user == self.user]
        if not wanted:
            whose = f" of user {self.user}" if self.user else ""
            raise CorpusError(
                f"Nothing is known of job {self.job_id}{whose}: no trace in {self.settings.spool_dir},"
                f" no run in {self.settings.corpus}, no answer from accounting.",
                hint="See your jobs with: sacct -X. Was it submitted on this cluster?",
            )
        return sorted(wanted, key=_age)

    def _accounted(self) -> Sequence[AccountedJob]:
        if self.job_id.startswith(LOCAL_PREFIX):
            return ()
        try:
            return ask_accounting([self.job_id], backend=self.settings.backend, timeout_s=self.settings.slurm_timeout_s)
        except SlurmError as exc:
            self._accounting_answers = False
            self.tell(f"accounting could not be asked, so only the corpus was looked at: {exc}")
            return ()

    def _from_spool(self, accounted: Sequence[AccountedJob]) -> Iterator[JobAttempt]:
        attempts: dict[tuple[str, str, int], dict[str, NodeTrace]] = {}
        for node in self._traces(accounted):
            header = node.trace.header
            attempts.setdefault((header.cluster, header.job_id, header.restart), {})[place_of(header)] = node
        for nodes in attempts.values():
            first = min(nodes.values(), key=lambda node: rank_of(node.trace.header))
            header = first.trace.header
            job_id = header.array_job_id or header.job_id
            user = first.job.user if first.job else header.user
            ticket = self._ticket(first.file.path.parent, header.cluster, job_id, (first.file.owner_uid, user))
            attempt = build_attempt(list(nodes.values()), ticket, now_s=self.now_s)
            yield JobAttempt(run=attempt.run, course=course_of(first.trace, attempt.epochs, finished=attempt.finished))

    def _traces(self, accounted: Sequence[AccountedJob]) -> Iterator[NodeTrace]:
        if not self.settings.spool_dir.is_dir():
            return
        raw_ids = {self.job_id, *(job.job_id for job in accounted)}
        named_ids = raw_ids | {job.shown_id for job in accounted}
        reader = Reader(uid=self.uid, now_s=self.now_s)
        for entry in list_spool(self.settings.spool_dir).entries:
            if not any(f"-{known}-" in entry.path.name for known in named_ids):
                continue
            try:
                header = read_header(entry.path)
                # Without accounting, the owner of a job's trace cannot be checked; the caller has been told.
                if header.job_id in raw_ids and (self._accounting_answers or is_local(header)):
                    yield believed_trace(entry.path, accounted, reader)
            except TelemetryError as exc:
                self.tell(f"{entry.path.name} is not believed: {exc}")

    def _just_submitted(self) -> Iterator[JobAttempt]:
        """The caller's own ticket alone: slurmdbd hears of a job some seconds after sbatch has answered."""
        if not self.settings.spool_dir.is_dir() or not self.job_id.isdecimal():
            return
        for path in sorted(self.settings.spool_dir.glob(f"*-{self.job_id}{TICKET_SUFFIX}")):
            cluster = path.name.removesuffix(f"-{self.job_id}{TICKET_SUFFIX}")
            user = user_name()
            ticket = self._ticket(self._spool(), cluster, self.job_id, (self.uid, user))
            if ticket is not None:
                job = submitted_job(cluster, self.job_id, user=user, uid=self.uid)
                yield JobAttempt(run=unmeasured_run(job, ticket))

    def _ticket_of(self, job: AccountedJob) -> JobTicket | None:
        job_id = job.shown_id.partition("_")[0].partition("+")[0]
        return None if job.uid is None else self._ticket(self._spool(), job.cluster, job_id, (job.uid, job.user))

    def _spool(self) -> Path:
        return self.settings.spool_dir.resolve()  # it may be linked elsewhere; what is read below it may not

    def _ticket(self, spool: Path, cluster: str, job_id: str, owner: tuple[int, str]) -> JobTicket | None:
        uid, user = owner
        try:
            return believed_ticket(spool, cluster=cluster, job_id=job_id, owner_uid=uid, user=user)
        except TelemetryError as exc:
            self.tell(f"the ticket is not believed: {exc}")
            return None

    def _from_corpus(self) -> list[JobAttempt]:
        # At a site whose corpus is the admin's alone, which is a normal one, users are told nothing.
        if not os.access(self.settings.corpus, os.R_OK):
            return []
        from advisor.corpus import store  # noqa: PLC0415 (loads sqlite-utils; most users have no corpus to read)

        try:
            with store.reading(self.settings.corpus) as db:
                return [
                    JobAttempt(run=run, course=Course(epochs=rows.epochs_of(db, run)))
                    for run in rows.runs(db, job_id=self.job_id)
                ]
        except CorpusError as exc:
            self.tell(exc.with_hint)
            return []


def _identity(run: Run) -> tuple[str, str, int]:
    return run.cluster, run.job_id, run.restart


def _age(attempt: JobAttempt) -> tuple[str, int, str, int]:
    run = attempt.run
    task = run.array_task or ""
    return run.cluster, int(task) if task.isdecimal() else 0, run.job_id, run.restart


def last_job_id(settings: Settings, uid: int) -> str:
    """The id of the job that a user submitted last, by the newest ticket or trace in the spool folder.

    Raises:
        CorpusError: the user has none there.
        TelemetryError: the folder cannot be read.
    """
    newest: tuple[int, str] | None = None
    try:
        with os.scandir(settings.spool_dir) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                name = entry.name.removesuffix(TICKET_SUFFIX)
                if name != entry.name and status.st_uid == uid and (newest is None or status.st_mtime_ns > newest[0]):
                    newest = (status.st_mtime_ns, name)
    except OSError as exc:
        raise TelemetryError(f"The spool folder {settings.spool_dir} cannot be read: {exc.strerror}.") from exc
    if newest is None:
        raise CorpusError(f"You have no ticket in {settings.spool_dir}.", hint="Submit a job with: gsbatch train.py")
    _cluster, local, local_id = newest[1].partition(f"-{LOCAL_PREFIX}")
    return LOCAL_PREFIX + local_id if local else newest[1].rpartition("-")[2]
