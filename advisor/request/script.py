"""The user's script: found as sbatch finds it, read, and classified by what can be done with it."""

from __future__ import annotations

import enum
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import ScriptError
from advisor.request.directives import Header, read_header

_SHELLS = frozenset({"sh", "bash", "dash", "ksh", "mksh", "zsh"})
# Interpreters that read "#SBATCH" as a comment: picks can stand there although the job is not recorded.
_HASH_COMMENTS = frozenset({"csh", "tcsh", "fish", "perl", "ruby", "Rscript", "julia"})
# What sbatch writes before the command of --wrap.
WRAP_HEAD = "#!/bin/sh\n# This script was created by sbatch --wrap.\n\n"
_MAX_BYTES = 4 * 1024**2  # Slurm's own MAX_BATCH_SCRIPT_SIZE in 22.05; larger scripts are left to sbatch


class ScriptKind(enum.Enum):
    """What can be done with a script."""

    PYTHON = "python"  # run by its own path, recorded
    SHELL = "shell"  # restarts itself under the recorder
    HEADER_ONLY = "header only"  # takes picks, is not recorded
    UNTOUCHED = "untouched"  # goes to sbatch as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """``path`` is None for standard input and ``--wrap``; ``name`` is what sbatch names the job after.

    Bytes of ``text`` that are no UTF-8 are surrogates.
    """

    kind: ScriptKind
    name: str
    path: Path | None
    text: str
    header: Header
    arguments: tuple[str, ...]
    from_stdin: bool = False
    note: str | None = None

    @property
    def interpreter(self) -> tuple[str, ...]:
        """What the first line names, with its options; empty where it names none."""
        return tuple(_shebang_command(self.header))

    @property
    def sha256(self) -> str:
        """Of the file's bytes."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogateescape")).hexdigest()


def find_script(name: str, *, folder: Path, search_path: str, chdir: str | None = None) -> Path:
    """Find a batch script by sbatch's rules: ``./x`` and ``/x`` as they are, ``x`` in the folder, then on PATH.

    ``chdir`` is the value of ``--chdir``. sbatch looks for ``x`` there, and for ``./x`` where it was called all the
    same (22.05 and 25.11 do), whatever sbatch(1) says.

    Raises:
        ScriptError: there is no such file, or it is a folder.
    """
    candidates = [folder / name]
    if not name.startswith((".", "/")):
        on_path = [folder / entry / name for entry in search_path.split(os.pathsep) if entry]
        candidates = [folder / (chdir or "") / name, *on_path, *candidates]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.absolute()
    kind = "is a folder" if candidates[0].is_dir() else "does not exist"
    raise ScriptError(f"The script {name} {kind}.", hint="Options for sbatch stand before the script.")


def read_script(path: Path, arguments: tuple[str, ...]) -> Script:
    """Read a script file.

    Raises:
        ScriptError: it cannot be read, is too large, or its directives cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise ScriptError(f"The script {path} cannot be read: {exc.strerror}.") from exc
    return script_from_text(_decoded(data, str(path)), name=path.name, path=path, arguments=arguments)


def wrapped_script(command: str) -> Script:
    """The script that ``sbatch --wrap`` makes of a command."""
    return script_from_text(f"{WRAP_HEAD}{command}\n", name="wrap", path=None, arguments=())


def stdin_script(data: bytes) -> Script:
    """A script that came on standard input; sbatch names such a job ``sbatch``.

    Raises:
        ScriptError: it is too large.
    """
    return script_from_text(_decoded(data, "standard input"), name="sbatch", path=None, arguments=(), from_stdin=True)


def script_from_text(
    text: str, *, name: str, path: Path | None, arguments: tuple[str, ...], from_stdin: bool = False
) -> Script:
    """Tell a script's kind from its name and its first line."""
    header = read_header(text)
    kind, note = _kind(header, path, text)
    return Script(
        kind=kind,
        name=name,
        path=path,
        text=text,
        header=header,
        arguments=arguments,
        from_stdin=from_stdin,
        note=note,
    )


def interpreter_command(
    script: Script, *, environment: Mapping[str, str], chosen: Path | None = None
) -> tuple[str, ...]:
    """The command that interprets a Python script: the setting's, its ``#!`` line's, else python on PATH, absolute.

    It is looked up in the user's environment, not in the one that gsbatch runs in. Symbolic links are kept, because a
    virtual environment is recognised by them.

    Raises:
        ScriptError: no interpreter is found.
    """
    command = [str(chosen)] if chosen is not None else _shebang_command(script.header) or ["python"]
    names = [command[0]] if chosen is not None or command[0] != "python" else ["python", "python3"]
    for name in names:
        found = shutil.which(name, path=environment.get("PATH", os.defpath))
        if found is not None:
            return (str(Path(found).absolute()), *command[1:])
    raise ScriptError(
        f"No Python interpreter '{command[0]}' is on PATH to run {script.name} with.",
        hint="Activate the environment that the training needs, or set GSBATCH_PYTHON.",
    )


def _kind(header: Header, path: Path | None, text: str) -> tuple[ScriptKind, str | None]:
    command = _shebang_command(header)
    interpreter = Path(command[0]).name if command else ""
    is_python = path is not None and (path.suffix == ".py" or interpreter.startswith("python"))
    is_python = is_python and interpreter not in _SHELLS
    reason = _untouched_reason(header, text, has_dos_lines="\r\n" in text and not is_python)
    if reason is not None:
        return ScriptKind.UNTOUCHED, reason
    if interpreter in _SHELLS:
        return ScriptKind.SHELL, None
    if is_python:
        return ScriptKind.PYTHON, None
    if interpreter in _HASH_COMMENTS or interpreter.startswith("python") or (command and header.directives):
        return ScriptKind.HEADER_ONLY, f"a job run by {interpreter} is not recorded"
    return ScriptKind.UNTOUCHED, "its interpreter is not known" if command else "it has no #! line"


def _untouched_reason(header: Header, text: str, *, has_dos_lines: bool) -> str | None:
    if header.is_heterogeneous:
        return "it describes a heterogeneous job"
    if header.is_foreign:
        return "it has directives of another scheduler, which sbatch translates"
    if "\0" in text:
        return "sbatch takes no text with NUL bytes"
    return "sbatch takes no DOS line ends (CRLF); dos2unix removes them" if has_dos_lines else None


def _shebang_command(header: Header) -> list[str]:
    """The interpreter and its arguments; ``/usr/bin/env NAME`` is NAME."""
    if not header.lines or not header.lines[0].startswith("#!"):
        return []
    command = header.lines[0][2:].split()
    if command and Path(command[0]).name == "env":
        command = [argument for argument in command[1:] if argument != "-S"]
    return command


def _decoded(data: bytes, what: str) -> str:
    if len(data) > _MAX_BYTES:
        raise ScriptError(f"{what} is larger than {_MAX_BYTES // 1024**2} MiB.")
    # Bash takes any bytes, and Python what its coding line says: what is no UTF-8 is handed on as it is.
    return data.decode("utf-8", "surrogateescape")
