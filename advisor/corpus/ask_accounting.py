"""Accounting through the backend that reads the cluster: one entry for ingest and gseff."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from advisor import slurm
from advisor.corpus.accounting import ACCOUNTING_TIMEOUT_S, AccountedJob, accounted_jobs
from advisor.corpus.accounting_pyslurm import read_with_pyslurm
from advisor.errors import SlurmError
from advisor.inventory.backend import COMMANDS, PYSLURM, installed_pyslurm_version
from advisor.inventory.read import backend_in_use

_PING_TIMEOUT_S = 5.0


def ask_accounting(
    job_ids: Iterable[str], *, backend: str, timeout_s: float = ACCOUNTING_TIMEOUT_S
) -> tuple[AccountedJob, ...]:
    """Every attempt of these jobs, by pyslurm where that backend is in use and slurmdbd answers, else by sacct.

    Args:
        job_ids: ``N``, ``N_task`` or ``N+component``.
        backend: the setting: ``auto``, ``commands`` or ``pyslurm``.
        timeout_s: how long a sacct may take.

    Raises:
        SlurmError: accounting cannot be asked.
        UsageError: an id is not a job id, or pyslurm is forced and cannot be used.
    """
    asked = sorted(set(job_ids))
    if not asked or _backend(backend) == COMMANDS or not _slurmdbd_answers():
        return accounted_jobs(asked, timeout_s=timeout_s)
    last, requeued = read_with_pyslurm(importlib.import_module("pyslurm"), asked)
    attempts = accounted_jobs(requeued, timeout_s=timeout_s)
    return (*(job for job in last if job.job_id not in requeued), *attempts)


def _slurmdbd_answers() -> bool:
    """Whether pyslurm may ask: a hung slurmdbd would hold it for minutes that nothing can end, but a command ends."""
    try:
        slurm.run("sacctmgr", "ping", timeout_s=_PING_TIMEOUT_S)
    except SlurmError:
        return False
    return True


def _backend(wanted: str) -> str:
    """Which backend is in use; where the controller is down, sacct still answers, as slurmdbd does."""
    if wanted == COMMANDS or (wanted != PYSLURM and installed_pyslurm_version() is None):
        return COMMANDS
    try:
        return backend_in_use(wanted).backend
    except SlurmError:
        return COMMANDS
