"""The checks of ``gsadmin doctor``, one function for each thing."""

from __future__ import annotations

import os
import platform
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pynvml

from advisor import slurm
from advisor.account import user_name
from advisor.corpus import schema, store
from advisor.corpus.statistics import problems_of
from advisor.errors import AdvisorError, SlurmError, SlurmNotFound, StorageError
from advisor.inspection.confine import LANDLOCK, NAMESPACES, SYSTEM_CALLS, landlock_version, way_here
from advisor.inventory.read import backend_in_use
from advisor.prediction.model import load_model
from advisor.settings import Settings
from advisor.storage.folder import open_folder
from advisor.submission.real_sbatch import NAME, sbatch_call
from advisor.workflows.initialise import SHARED_SPOOL_MODE, is_for_each_user, is_shared
from advisor.workflows.site import site_registry

OK, WARN, FAIL = "OK", "WARN", "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: its verdict, what was found, and the next step if something is wrong."""

    name: str
    verdict: str
    message: str
    next_step: str | None = None


def all_checks(settings: Settings) -> list[Check]:
    """Every check, in the order of the data flow. A check that cannot be made is a finding, not an error."""
    checks: list[Check] = []
    for check in (_python, _slurm, _accounting, _backend, _dry_run, _nvml, _rapl, _psutil, _spool, _corpus, _model):
        try:
            checks.extend(check(settings))
        except AdvisorError as exc:
            checks.append(Check(name=check.__name__.strip("_"), verdict=FAIL, message=str(exc), next_step=exc.hint))
    return checks


def _python(_settings: Settings) -> Iterator[Check]:
    yield Check(name="python", verdict=OK, message=f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}")


def _slurm(settings: Settings) -> Iterator[Check]:
    try:
        sbatch = sbatch_call(os.environ)
    except SlurmNotFound:
        described = settings.inventory is not None
        yield Check(
            name="slurm",
            verdict=WARN if described else FAIL,
            message="sbatch is not on PATH",
            next_step=None if described else "Load Slurm's module, or describe a cluster with the setting inventory.",
        )
        return
    told = slurm.ask(
        (NAME, "--version"),
        timeout_s=settings.slurm_timeout_s,
        environment=sbatch.environment,
        program=sbatch.program,
    )
    yield Check(name="slurm", verdict=OK, message=f"{told.stdout.strip()}, {sbatch.program}")
    answer = slurm.ask(["scontrol", "ping"], timeout_s=settings.slurm_timeout_s)
    up = answer.returncode == 0
    said = (answer.stdout or answer.stderr).strip().splitlines()
    yield Check(
        name="slurmctld",
        verdict=OK if up else FAIL,
        message=said[0] if said else "did not answer",
        next_step=None if up else "Start slurmctld; jobs are submitted as plain sbatch would until then.",
    )


def _accounting(settings: Settings) -> Iterator[Check]:
    if not slurm.is_installed():
        return
    argv = ["sacct", "--noheader", "--parsable2", "--allclusters", "--jobs=1", "--format=JobIDRaw"]
    try:
        answer = slurm.ask(argv, timeout_s=settings.slurm_timeout_s)
    except SlurmError as exc:
        yield Check(name="accounting", verdict=FAIL, message=str(exc), next_step=exc.hint)
        return
    works = answer.returncode == 0
    said = answer.stderr.strip().splitlines()
    yield Check(
        name="accounting",
        verdict=OK if works else FAIL,
        message="sacct answers" if works else (said[-1] if said else "sacct failed"),
        next_step=None if works else "Traces are believed only with accounting: set up slurmdbd.",
    )


def _backend(settings: Settings) -> Iterator[Check]:
    if settings.inventory is not None:
        yield Check(name="backend", verdict=OK, message=f"described: {settings.inventory} is read in place of Slurm")
    elif slurm.is_installed():
        choice = backend_in_use(settings.backend)
        yield Check(name="backend", verdict=OK, message=f"{choice.backend}: {choice.reason}")


def _dry_run(_settings: Settings) -> Iterator[Check]:
    way = way_here()
    said = {
        LANDLOCK: f"confined by Landlock (version {landlock_version()}) and seccomp",
        NAMESPACES: "confined by user namespaces and seccomp; this kernel has no Landlock",
        SYSTEM_CALLS: "confined by seccomp alone; this kernel has no Landlock, and no user namespaces for users",
    }
    yield Check(
        name="dry run",
        verdict=OK if way else WARN,
        message=said.get(way, f"this machine ({platform.release()}, {platform.machine()}) cannot confine it"),
        next_step=None if way else "Scripts are dry-run in the job, or here with --probe; facts come from --set.",
    )


def _nvml(_settings: Settings) -> Iterator[Check]:
    try:
        pynvml.nvmlInit()
        try:
            driver, count = pynvml.nvmlSystemGetDriverVersion(), pynvml.nvmlDeviceGetCount()
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as exc:
        yield Check(
            name="nvml",
            verdict=WARN,
            message=f"no GPU can be measured on this machine: {exc}",
            next_step="Run gsadmin doctor on a GPU node too.",
        )
        return
    yield Check(name="nvml", verdict=OK, message=f"{count} GPUs, driver {driver}")


def _rapl(_settings: Settings) -> Iterator[Check]:
    zones = sorted(Path("/sys/class/powercap").glob("intel-rapl:*/energy_uj"))
    readable = [zone for zone in zones if os.access(zone, os.R_OK)]
    if readable:
        yield Check(name="rapl", verdict=OK, message=f"{len(readable)} zones can be read")
    else:
        yield Check(
            name="rapl",
            verdict=WARN,
            message="RAPL cannot be read" if zones else "this machine has no RAPL",
            next_step="Host energy is left out of records; GPU energy is not concerned.",
        )


def _psutil(_settings: Settings) -> Iterator[Check]:
    yield Check(name="psutil", verdict=OK, message=f"{psutil.__version__}, sees {len(psutil.pids())} processes")


def _spool(settings: Settings) -> Iterator[Check]:
    folder = settings.spool_dir
    if not folder.is_dir():
        above = next(path for path in folder.parents if path.exists())
        may_make = os.access(above, os.W_OK)
        remedy = "gsadmin init" if may_make else f"An admin makes it with: gsadmin init --user {user_name()}"
        yield Check(name="spool", verdict=FAIL, message=f"{folder} is not there", next_step=remedy)
        return
    try:
        open_folder(folder, may_be_shared=True).close()
    except StorageError as exc:
        yield Check(name="spool", verdict=FAIL, message=str(exc), next_step=exc.hint)
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    is_everyones = is_shared(settings, "spool_dir") and not is_for_each_user(folder)
    shared_but_closed = is_everyones and not mode & stat.S_IWOTH
    yield Check(
        name="spool",
        verdict=WARN if shared_but_closed else _writable(folder),
        message=f"{folder} (mode {mode:04o}{', other users cannot write to it' if shared_but_closed else ''})",
        next_step=f"chmod {SHARED_SPOOL_MODE:o} {folder}" if shared_but_closed else None,
    )


def _writable(folder: Path) -> str:
    """Try it: permission bits do not tell of read-only or full file systems."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return OK
    except OSError:
        return FAIL


def _corpus(settings: Settings) -> Iterator[Check]:
    if _is_closed(settings.corpus):
        message = (
            f"{settings.corpus} is readable by its owner only; gseff shows your jobs from the spool and accounting"
        )
        yield Check(name="corpus", verdict=OK, message=message)
        return
    if not settings.corpus.is_file():
        yield Check(
            name="corpus", verdict=WARN, message=f"there is none at {settings.corpus}", next_step="gsadmin init"
        )
        return
    with store.reading(settings.corpus) as db:
        problems = problems_of(db)
        runs, rejected = db.table("runs").count, db.table("rejected").count
    yield Check(
        name="corpus",
        verdict=FAIL if problems else OK,
        message=problems[0] if problems else f"{runs} runs, {rejected} files rejected, version {len(schema.names())}",
        next_step="Restore it from a backup." if problems else None,
    )


def _is_closed(path: Path) -> bool:
    """Whether it is there, or may be, and this user may not read it."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return not os.access(path, os.R_OK)


def _model(settings: Settings) -> Iterator[Check]:
    model = site_registry(settings).promoted()
    predictor = load_model(model)
    yield Check(
        name="model",
        verdict=OK,
        message=f"{model.name} {model.version}, checksums hold, learned from {predictor.identity.trained_on_runs} runs",
    )
