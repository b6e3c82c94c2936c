"""The one Python training that a batch script starts, where its words can be read without running a shell."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

_PYTHON = re.compile(r"(?:.*/)?python[\d.]*")
# Anything that only a shell could say the meaning of, once "$@" has been put in.
_SHELL_ONLY = re.compile(r"[$`*?\[\]{}<>|&;()~]|^\w+=")
# Where the command ends and the shell's business with its output begins.
_END = re.compile(r"(\d*|&)>.*|\|.*|&{1,2}|;")
# Launchers whose own words stand before the command; which of those take a value is theirs to know.
_LAUNCHERS = frozenset({"srun", "exec", "time", "nice", "env", "mpirun", "mpiexec"})


@dataclass(frozen=True, slots=True)
class PythonCommand:
    """``python [flags] script [arguments]``: the interpreter's words, the script as written, its arguments."""

    interpreter: tuple[str, ...]
    script: str
    arguments: tuple[str, ...]


def python_inside(body: str, arguments: tuple[str, ...]) -> PythonCommand | None:
    """Find the training in a batch script's body.

    None where there is no line that runs a Python file, where there are several, or where one holds what only a shell
    can expand; ``"$@"`` is understood and stands for the script's ``arguments``.
    """
    found = [command for line in _lines(body) if (command := _python_command(line, arguments)) is not None]
    return found[0] if len(found) == 1 and found[0].script else None


def _lines(body: str) -> list[str]:
    return body.replace("\\\n", " ").splitlines()


def _python_command(line: str, arguments: tuple[str, ...]) -> PythonCommand | None:
    """The command of a line; with an empty script where there is one that cannot be read; None where there is none."""
    try:
        words = shlex.split(line.replace('"$@"', "\0").replace("$@", "\0"), comments=True)
    except ValueError:
        return None
    start = next((index for index, word in enumerate(words) if _PYTHON.fullmatch(word)), None)
    if start is None or (start > 0 and words[0].rpartition("/")[2] not in _LAUNCHERS):
        return None
    interpreter, rest = [words[start]], words[start + 1 :]
    while rest and rest[0] in {"-u", "-O", "-OO", "-B", "-I", "-s", "-E"}:
        interpreter.append(rest.pop(0))
    if not rest or not rest[0].endswith(".py"):
        return None
    end = next((index for index, word in enumerate(rest) if _END.fullmatch(word)), len(rest))
    rest = rest[:end]
    if any(_SHELL_ONLY.search(word) for word in [*interpreter, *rest]):
        return PythonCommand((), "", ())
    given = [word for item in rest[1:] for word in (arguments if item == "\0" else (item,))]
    return PythonCommand(tuple(interpreter), rest[0], tuple(given))
