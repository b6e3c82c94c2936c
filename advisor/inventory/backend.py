"""Which backend reads the cluster, and why: pyslurm where it fits the running Slurm, else Slurm's commands."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from advisor.errors import UsageError

AUTO = "auto"
COMMANDS = "commands"
PYSLURM = "pyslurm"
BACKENDS = (AUTO, COMMANDS, PYSLURM)


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """The backend that reads the cluster and the reason, for ``gsadmin doctor``."""

    backend: str
    reason: str


def choose_backend(
    wanted: str,
    slurm_version: str | None,
    *,
    pyslurm_version: Callable[[], str | None] | None = None,
    imports: Callable[[], str | None] | None = None,
) -> BackendChoice:
    """Choose the backend for a running Slurm of this version.

    Args:
        wanted: ``auto``, ``commands`` or ``pyslurm``; the last two force it.
        slurm_version: of the running slurmctld; None where it is not known.
        pyslurm_version: tells the installed version, None where there is none.
        imports: tries to import pyslurm and tells what went wrong, None where it works.

    Raises:
        UsageError: no such backend, or pyslurm is forced and cannot be used.
    """
    if wanted not in BACKENDS:
        raise UsageError(f"'{wanted}' is not a backend.", hint=f"Choose one of {', '.join(BACKENDS)}.")
    if wanted == COMMANDS:
        return BackendChoice(COMMANDS, "asked for")
    installed = (pyslurm_version or installed_pyslurm_version)()
    problem = _pyslurm_problem(slurm_version, installed, imports or pyslurm_import_problem)
    if problem is None:
        what = "asked for;" if wanted == PYSLURM else "pyslurm"
        return BackendChoice(PYSLURM, f"{what} {installed} matches the running Slurm {slurm_version}")
    if wanted == PYSLURM:
        raise UsageError(f"The pyslurm backend cannot be used: {problem}.", hint="Use --backend commands or auto.")
    return BackendChoice(COMMANDS, problem)


def installed_pyslurm_version() -> str | None:
    """The installed pyslurm's version without importing it (an import reads slurm.conf and may end the process)."""
    if importlib.util.find_spec("pyslurm") is None:
        return None
    from importlib import metadata  # noqa: PLC0415 (takes 10 ms, and most sites have no pyslurm)

    try:
        return metadata.version("pyslurm")
    except metadata.PackageNotFoundError:
        return None


def pyslurm_import_problem() -> str | None:
    """Import pyslurm and say what went wrong; None where it works."""
    try:
        importlib.import_module("pyslurm")
    except (ImportError, OSError, RuntimeError) as exc:
        return str(exc).splitlines()[0] if str(exc) else type(exc).__name__
    return None


def _pyslurm_problem(slurm_version: str | None, installed: str | None, imports: Callable[[], str | None]) -> str | None:
    if installed is None:
        return "pyslurm is not installed"
    if slurm_version is None:
        return "the running Slurm did not tell its version"
    if installed.split(".")[:2] != slurm_version.split(".")[:2]:
        return f"pyslurm {installed} is not for the running Slurm {slurm_version}"
    problem = imports()
    return None if problem is None else f"pyslurm does not import: {problem}"
