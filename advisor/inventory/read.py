"""The step's entry: read the cluster that was asked for into an Inventory."""

from __future__ import annotations

import grp
import importlib
import os
import pwd
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from advisor import slurm
from advisor.inventory import cache
from advisor.inventory.assemble import Who, assemble
from advisor.inventory.backend import AUTO, COMMANDS, BackendChoice, choose_backend, installed_pyslurm_version
from advisor.inventory.catalogue import Catalogue
from advisor.inventory.commands import Run, ask_config, read_with_commands
from advisor.inventory.described import read_described
from advisor.inventory.model import Inventory
from advisor.inventory.pyslurm_backend import read_with_pyslurm
from advisor.inventory.records import ClusterRecords

DEFAULT_MAX_AGE_S = 120.0


def read_inventory(
    *,
    described: Path | None,
    backend: str = AUTO,
    user: str,
    catalogue: Catalogue,
    cache_dir: Path | None,
    max_age_s: float = DEFAULT_MAX_AGE_S,
    account: str | None = None,
    qos: str | None = None,
    run: Run = slurm.run,
    clock: Callable[[], float] = time.time,
) -> Inventory:
    """Read the cluster as this user may use it: a described one, or Slurm's through the backend that fits.

    Args:
        described: TOML file to read in place of asking a Slurm.
        backend: ``auto``, ``commands`` or ``pyslurm``.
        user: whose rights count.
        catalogue: the GPUs known here.
        cache_dir: where short-lived copies lie; None for no copies.
        max_age_s: how old a copy may be; 0 asks Slurm anew.
        account: the account that the job names, whose limits count; None for the user's default.
        qos: the QOS that the job names, likewise.
        run: runs a Slurm command and returns its stdout.
        clock: tells the time in seconds since 1970.

    Raises:
        ConfigurationError: the described cluster has a mistake.
        SlurmError: Slurm cannot be asked.
        InventoryError: an answer is not understood.
    """
    if described is not None:
        return read_described(described, catalogue)
    who = Who(user=user, groups=groups_of(user), account=account, qos=qos)
    question = cache.cluster_question(backend=backend, user=user, environment=os.environ)
    copies = None if cache_dir is None else cache.inventory_cache(cache_dir, max_age_s=max_age_s)
    records = None
    if copies is not None and max_age_s > 0:
        records = cache.load(copies, question, now_s=clock())
    if records is None:
        records = _ask(backend, user, run)
        if copies is not None:
            cache.save(copies, question, records, now_s=clock())
    return assemble(records, catalogue, who)


def backend_in_use(backend: str = AUTO, run: Run = slurm.run) -> BackendChoice:
    """Which backend would read the cluster, and why; for ``gsadmin doctor``.

    Raises:
        SlurmError: Slurm cannot be asked for its version.
        UsageError: a forced backend cannot be used.
    """
    return choose_backend(backend, ask_config(run).slurm_version)


def groups_of(user: str) -> tuple[str, ...]:
    """The Unix groups of a user; none for a user that this machine does not know."""
    try:
        gids = os.getgrouplist(user, pwd.getpwnam(user).pw_gid)
    except (KeyError, OSError):
        return ()
    return tuple(name for gid in gids if (name := _group_name(gid)) is not None)


def _group_name(gid: int) -> str | None:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


def default_cache_dir(environment: Mapping[str, str]) -> Path | None:
    """The user's cache folder for gsbatch; None where no home is known."""
    named = environment.get("XDG_CACHE_HOME", "")
    if named.startswith("/"):  # the XDG specification has relative paths ignored
        return Path(named) / "gsbatch"
    return Path(environment["HOME"]) / ".cache" / "gsbatch" if environment.get("HOME") else None


def _ask(backend: str, user: str, run: Run) -> ClusterRecords:
    if backend == COMMANDS or (backend == AUTO and installed_pyslurm_version() is None):
        return read_with_commands(run, user=user)
    config = ask_config(run)
    choice = choose_backend(backend, config.slurm_version)
    if choice.backend == COMMANDS:
        return read_with_commands(run, user=user)
    return read_with_pyslurm(importlib.import_module("pyslurm"), run, config, user=user)
