"""Reads new traces of the spool folder into the corpus, with what accounting says of their jobs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from advisor import slurm
from advisor.account import user_name
from advisor.corpus import store
from advisor.corpus.accounting import AccountedJob
from advisor.corpus.ask_accounting import ask_accounting
from advisor.corpus.belief import Reader
from advisor.corpus.hardware import Hardware, gpus_of_nodes
from advisor.corpus.ingest import IngestSummary, Progress, ingest
from advisor.errors import InventoryError, SlurmError
from advisor.inventory.read import default_cache_dir, read_inventory
from advisor.inventory.site_gpus import catalogue_with
from advisor.settings import Settings
from advisor.workflows.initialise import is_for_each_user


def ingest_spool(
    settings: Settings,
    *,
    of_all_users: bool = True,
    needs_slurm: bool = True,
    progress: Progress = lambda _done, _all: None,
) -> IngestSummary:
    """Bring the corpus up to date; accounting is asked once.

    Args:
        settings: name the spool and the corpus.
        of_all_users: root reads all users' folders where the spool is set as ``.../$USER``, and not its own alone.
        needs_slurm: False ingests on a machine without Slurm what needs no accounting, which are local runs.
        progress: is told how many attempts are done, of how many.

    Raises:
        CorpusError: the corpus cannot be written, or another writes to it.
        SlurmError: accounting cannot be asked.
    """

    def accounting(job_ids: Iterable[str]) -> tuple[AccountedJob, ...]:
        if not needs_slurm and not slurm.is_installed():
            return ()
        return ask_accounting(job_ids, backend=settings.backend)

    reader = Reader(uid=os.geteuid(), now_s=time.time(), hardware=_hardware(settings))
    with store.writing(settings.corpus) as db:
        return ingest(db, _spool(settings, of_all_users=of_all_users), accounting, reader, progress=progress)


def _spool(settings: Settings, *, of_all_users: bool) -> Path:
    named = settings.spool_dir
    is_named_here = settings.sources["spool_dir"] == "command line"
    if of_all_users and not is_named_here and os.geteuid() == 0 and is_for_each_user(named):
        return named.parent
    return named


def _hardware(settings: Settings) -> Hardware:
    """The GPUs of each node by Slurm; of none where Slurm cannot be asked, and then their names alone count."""
    catalogue = catalogue_with(settings.gpu_catalogue)
    if settings.inventory is not None:  # a described cluster is not the one that jobs ran on
        return Hardware(catalogue=catalogue)
    try:
        inventory = read_inventory(
            described=None,
            backend=settings.backend,
            user=user_name(),
            catalogue=catalogue,
            cache_dir=default_cache_dir(os.environ),
        )
    except (SlurmError, InventoryError):
        return Hardware(catalogue=catalogue)
    return Hardware(catalogue=catalogue, nodes=gpus_of_nodes(inventory))
