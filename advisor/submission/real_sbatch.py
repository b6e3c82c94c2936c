"""Which sbatch jobs are submitted with: never gsbatch itself, which a site may have put on PATH under that name.

Standard library and ``advisor.errors`` only: this must work where the rest of an installation is broken.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from advisor.errors import SlurmNotFound

NAME = "sbatch"
# Tells a gsbatch that a site's wrapper of sbatch has started which files have been tried; no job acts on it.
GUARD = "GSBATCH_CALLS_SBATCH"
_OUR_PROGRAM = b"advisor.cli.gsbatch"
_SLURMS_LIBRARY = b"libslurm"
_MOST_READ_BYTES = 4 * 1024**2
_MOST_ANCESTORS = 64


@dataclass(frozen=True, slots=True)
class SbatchCall:
    """The program to start as ``sbatch`` and the environment to start it in."""

    program: str
    environment: Mapping[str, str]


def sbatch_call(environment: Mapping[str, str]) -> SbatchCall:
    """Find the sbatch to call: the one that a setting names, else the first on PATH that is not gsbatch.

    Args:
        environment: what sbatch, and through it the job, shall inherit.

    Raises:
        SlurmNotFound: there is none.
    """
    clean = {name: value for name, value in environment.items() if name != GUARD}
    named = _named(environment)
    if named is not None and _is_program(named):
        return _call(named, clean, origin=_this_process(), tried=())
    return _next_call(clean, origin=_this_process(), tried=())


def call_of_wrapper(environment: Mapping[str, str]) -> SbatchCall | None:
    """The next sbatch to call where this process was started by the one that a gsbatch calls; else None.

    A site's wrapper named sbatch looks for the next sbatch on PATH and may find gsbatch again.

    Raises:
        SlurmNotFound: there is no other.
    """
    origin, _, tried = environment.get(GUARD, "").partition(" ")
    if not origin or origin not in _ancestors():
        return None
    clean = {name: value for name, value in environment.items() if name != GUARD}
    return _next_call(clean, origin=origin, tried=tried.split(os.pathsep))


def _next_call(environment: Mapping[str, str], *, origin: str, tried: Collection[str]) -> SbatchCall:
    for program in _on_path(environment):
        if program not in tried and _is_program(program) and not _is_gsbatch(program):
            return _call(program, environment, origin=origin, tried=tried)
    raise SlurmNotFound(NAME)


def _call(program: str, environment: Mapping[str, str], *, origin: str, tried: Collection[str]) -> SbatchCall:
    if _contains(program, _SLURMS_LIBRARY, b"\x7fELF") or not _can_be_found_again(environment):
        return SbatchCall(program, environment)
    return SbatchCall(program, {**environment, GUARD: f"{origin} {os.pathsep.join([*tried, program])}"})


def _can_be_found_again(environment: Mapping[str, str]) -> bool:
    """Whether gsbatch goes by the name of sbatch."""
    return os.path.basename(sys.argv[0]) == NAME or any(map(_is_gsbatch, _on_path(environment)))  # noqa: PTH119 (pathlib is slow to load)


def _on_path(environment: Mapping[str, str]) -> Iterator[str]:
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        yield os.path.join(folder, NAME)  # noqa: PTH118 (pathlib takes a third as long to load as --help)


def _named(environment: Mapping[str, str]) -> str | None:
    """The setting; a mistake in the settings is told elsewhere."""
    try:
        from advisor.settings import load_settings  # noqa: PLC0415 (the rest of an installation may be broken)

        named = load_settings(environment=environment).sbatch
    except Exception:  # noqa: BLE001 (whatever is wrong there, PATH has an sbatch to submit with)
        return None
    return None if named is None else str(named)


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)  # noqa: PTH113 (pathlib is slow to load)


def _is_gsbatch(path: str) -> bool:
    """Whether a file is gsbatch: this program by whatever link, or a copy or another installation of it."""
    try:
        if os.path.samefile(path, sys.argv[0]):  # noqa: PTH121 (pathlib is slow to load)
            return True
    except OSError:
        pass  # run by ``python -c``, or moved away since
    return _contains(path, _OUR_PROGRAM, b"#!")


def _contains(path: str, text: bytes, beginning: bytes) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (pathlib is slow to load)
            content = file.read(_MOST_READ_BYTES)
    except OSError:
        return False
    return content.startswith(beginning) and text in content


def _this_process() -> str:
    return next(_ancestors())


def _ancestors() -> Iterator[str]:
    """This process, its parent and so on, each as number and start time: a number alone is used again."""
    pid = os.getpid()
    for _ in range(_MOST_ANCESTORS):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123 (pathlib is slow to load)
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return
        yield f"{pid}-{fields[19]}"
        pid = int(fields[1])
        if pid <= 1:
            return
