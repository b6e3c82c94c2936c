"""What Slurm's accounting says of jobs: one sacct query, its answer as values.

Formats are those of Slurm 22.05 to 25.11, recorded in tests/data/slurm/. Only fields that all of them know are asked
for: sacct ends with an error at a field it does not know, and ``Restarts`` came after 22.05.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import pwd
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from advisor import slurm
from advisor.errors import SlurmCommandFailed, SlurmError, UsageError
from advisor.units import memory_bytes_from_slurm

FIELDS = (
    "JobID",
    "JobIDRaw",
    "User",
    "UID",
    "Cluster",
    "Account",
    "Partition",
    "State",
    "ExitCode",
    "ElapsedRaw",
    "Submit",
    "Start",
    "End",
    "NNodes",
    "AllocTRES",
    "NodeList",
    "MaxRSS",
    "ConsumedEnergyRaw",
)
# ASCII's own unit separator: no site can have it in a name, as some have '|' in account names.
DELIMITER = "\x1f"
# Linux takes 128 KiB in one argument; 5,000 ids of ten digits are 55 KB.
JOBS_PER_QUERY = 5000
# A query over years of a large site's accounting takes minutes, and ingest runs from cron.
ACCOUNTING_TIMEOUT_S = 300.0
_TRES_TIMEOUT_S = 15.0
_TYPED = "gres/gpu:"

UNFINISHED_STATES = frozenset(
    {"PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "STAGE_OUT", "STOPPED", "SIGNALING", "RESIZING"}
)
_JOB_ID = re.compile(r"\d{1,10}(?:[_+]\d{1,10})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountedJob:
    """One attempt of one job, as accounting knows it.

    ``job_id`` is the raw id; ``shown_id`` the one people see (``5_1`` for a task of array 5). Times are seconds since
    the epoch, None while unknown. ``memory_bytes``, ``cpus`` and ``gpus`` are allocated over all ``nodes``; None where
    nothing is allocated or the site does not track it; ``gpus`` is 0 for a job without any where the site tracks them.
    ``gpu_types`` are the types of its GPUs where the site tracks those. ``max_rss_bytes`` is the largest task of any
    step. ``consumed_energy_j`` is the sum over steps, None where the site has no energy plugin. ``exit_status`` is
    128+n after signal n.
    """

    cluster: str
    job_id: str
    shown_id: str
    user: str
    uid: int | None
    account: str | None
    partition: str | None
    state: str
    exit_status: int | None
    elapsed_s: float
    submitted_at: float | None
    started_at: float | None
    ended_at: float | None
    nodes: int
    node_list: str
    cpus: int | None
    memory_bytes: int | None
    gpus: int | None
    max_rss_bytes: int | None
    consumed_energy_j: float | None
    gpu_types: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether this attempt has ended for good."""
        return self.state not in UNFINISHED_STATES


def submitted_job(cluster: str, job_id: str, *, user: str, uid: int) -> AccountedJob:
    """A job that was submitted and of which accounting has not heard yet."""
    return AccountedJob(
        cluster=cluster,
        job_id=job_id,
        shown_id=job_id,
        user=user,
        uid=uid,
        account=None,
        partition=None,
        state="SUBMITTED",
        exit_status=None,
        elapsed_s=0.0,
        submitted_at=None,
        started_at=None,
        ended_at=None,
        nodes=1,
        node_list="",
        cpus=None,
        memory_bytes=None,
        gpus=None,
        max_rss_bytes=None,
        consumed_energy_j=None,
    )


def is_job_id(text: str) -> bool:
    """Whether a text is a job id as sacct takes it: ``N``, ``N_task`` or ``N+component``."""
    return _JOB_ID.fullmatch(text) is not None


def accounted_jobs(job_ids: Iterable[str], *, timeout_s: float = ACCOUNTING_TIMEOUT_S) -> tuple[AccountedJob, ...]:
    """Every attempt of these jobs, from sacct, oldest first within a job.

    One query, or one for each 5,000 jobs. Jobs of which accounting knows nothing are absent. All clusters of the
    accounting database are asked, because traces of several clusters can lie in one spool folder.

    Raises:
        SlurmError: sacct is not there or failed.
        UsageError: an id is not a job id.
    """
    asked = sorted(set(job_ids))
    for job_id in asked:
        if not is_job_id(job_id):
            raise UsageError(f"'{job_id}' is not a Slurm job id.")
    found: list[AccountedJob] = []
    for start in range(0, len(asked), JOBS_PER_QUERY):
        found += parse_sacct(_ask_sacct(asked[start : start + JOBS_PER_QUERY], timeout_s))
    if any(_has_untold_gpus(job) for job in found) and _tracks_gpus():
        found = [dataclasses.replace(job, gpus=0) if _has_untold_gpus(job) else job for job in found]
    return tuple(_with_uid(job) for job in found)


def _has_untold_gpus(job: AccountedJob) -> bool:
    """Whether something was allocated and no GPU among it: it has none, or the site does not track them."""
    return job.gpus is None and job.cpus is not None


def _tracks_gpus() -> bool:
    """Whether accounting knows of GPUs at all (AccountingStorageTRES); it is not asked again where it fails."""
    try:
        text = slurm.run(
            "sacctmgr", "--noheader", "--parsable2", "show", "tres", "format=Type,Name", timeout_s=_TRES_TIMEOUT_S
        )
    except SlurmError:
        return False
    return "gres|gpu" in text.split()


def _with_uid(job: AccountedJob) -> AccountedJob:
    """The uid that this machine has for the user, where accounting lost the job's own."""
    if job.uid is not None:
        return job
    try:
        return dataclasses.replace(job, uid=pwd.getpwnam(job.user).pw_uid)
    except KeyError:
        return job


def _ask_sacct(job_ids: list[str], timeout_s: float) -> str:
    argv = [
        "sacct",
        "--parsable2",
        "--noheader",
        "--duplicates",
        "--allusers",
        "--allclusters",
        f"--delimiter={DELIMITER}",
        f"--jobs={','.join(job_ids)}",
        f"--format={','.join(FIELDS)}",
    ]
    # 5,000 ids and a delimiter that no terminal shows are no message for a person.
    shown = f"sacct --jobs={job_ids[0]}{',...' if job_ids[1:] else ''}"
    try:
        # sacct writes local times without their offset; in UTC no hour is there twice.
        answer = slurm.ask(argv, timeout_s=timeout_s, environment={**os.environ, "TZ": "UTC"})
    except SlurmCommandFailed as exc:
        raise SlurmCommandFailed(shown, exc.returncode, exc.stderr) from exc
    if answer.returncode != 0:
        raise SlurmCommandFailed(shown, answer.returncode, answer.stderr)
    return answer.stdout


def parse_sacct(text: str) -> tuple[AccountedJob, ...]:
    """Read sacct's answer to ``FIELDS`` joined by ``DELIMITER``; lines of another shape are left out.

    A job's line is followed by those of its steps, which carry its memory peak and energy.
    """
    rows = (line.split(DELIMITER) for line in text.splitlines())
    named = [dict(zip(FIELDS, row, strict=True)) for row in rows if len(row) == len(FIELDS)]
    jobs: list[AccountedJob] = []
    for job, steps in _with_steps(named):
        jobs.append(_accounted_job(job, steps))
    return tuple(jobs)


def _with_steps(rows: list[dict[str, str]]) -> Iterator[tuple[dict[str, str], list[dict[str, str]]]]:
    attempt = 0
    numbered: list[tuple[int, dict[str, str]]] = []
    for row in rows:
        attempt += "." not in row["JobIDRaw"]
        numbered.append((attempt, row))
    for number, group in itertools.groupby(numbered, key=lambda item: item[0]):
        members = [row for _, row in group]
        if number > 0:
            yield members[0], members[1:]


def _accounted_job(job: dict[str, str], steps: list[dict[str, str]]) -> AccountedJob:
    tres = dict(item.split("=", 1) for item in job["AllocTRES"].split(",") if "=" in item)
    peaks = [peak for step in steps if (peak := _memory(step["MaxRSS"])) is not None]
    energies = [float(text) for step in steps if (text := step["ConsumedEnergyRaw"]).isdigit() and int(text) > 0]
    return AccountedJob(
        cluster=job["Cluster"],
        job_id=job["JobIDRaw"],
        shown_id=job["JobID"],
        user=job["User"],
        uid=_uid(job),
        account=job["Account"] or None,
        partition=job["Partition"] or None,
        state=state_word(job["State"]),
        exit_status=_exit_status(job["ExitCode"]),
        elapsed_s=float(_number(job["ElapsedRaw"]) or 0),
        submitted_at=_time(job["Submit"]),
        # slurmdbd's first record of a job has a start before slurmctld has told of one.
        started_at=None if job["State"] == "PENDING" else _time(job["Start"]),
        ended_at=_time(job["End"]),
        nodes=_number(job["NNodes"]) or 0,
        node_list=job["NodeList"],
        cpus=_number(tres.get("cpu", "")),
        memory_bytes=_memory(tres.get("mem", "")),
        gpus=_number(tres.get("gres/gpu", "")),
        gpu_types=tuple(name.removeprefix(_TYPED) for name in tres if name.startswith(_TYPED)),
        max_rss_bytes=max(peaks, default=None),
        consumed_energy_j=sum(energies) if energies else None,
    )


def _uid(job: dict[str, str]) -> int | None:
    """The job's user. slurmdbd's first record of a job has uid 0, whoever submitted it, and 22.05 may leave it so."""
    uid = _number(job["UID"])
    return None if uid == 0 and job["User"] != "root" else uid


def state_word(text: str) -> str:
    """Slurm's state without what follows it: ``CANCELLED by 1001`` is ``CANCELLED``."""
    words = text.split()
    return words[0].rstrip("+") if words else "UNKNOWN"


def _exit_status(text: str) -> int | None:
    """Read ``code:signal``."""
    code, _, signal = text.partition(":")
    if not code.isdigit():
        return None
    return 128 + int(signal) if signal.isdigit() and int(signal) > 0 else int(code)


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _memory(text: str) -> int | None:
    """Read ``59848K`` or ``4G``. MaxRSS writes bytes as a bare number or 0, other sizes with a suffix."""
    if not text:
        return None
    if text.isdigit():
        return int(text)
    try:
        return memory_bytes_from_slurm(text)
    except UsageError:
        return None


def _time(text: str) -> float | None:
    """Read an ISO time in UTC; ``Unknown`` and ``None`` are None."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None
