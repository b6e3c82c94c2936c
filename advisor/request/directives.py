"""A script's header: its ``#SBATCH`` and ``#GSBATCH`` lines, read by sbatch's own rules.

Directives end at the first line that is neither blank nor a comment; arguments are split with sbatch's quoting, and
nothing is expanded.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.errors import ScriptError, UsageError
from advisor.request.sbatch_options import Option, SplitArguments, split_options

_MAGIC = ("#SBATCH", "#SLURM")
_OWN_MAGIC = "#GSBATCH"
_OTHER_SCHEDULERS = ("#PBS", "#BSUB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The comment lines that a script begins with.

    ``lines`` are all of them, verbatim, without line ends, the ``#!`` line first where there is one; ``body`` is the
    rest of the text. ``directives`` are the ``#SBATCH`` lines, verbatim; ``options`` what they say. ``own_arguments``
    stand on the ``#GSBATCH`` lines. ``is_heterogeneous`` and ``is_foreign`` (``#PBS``, ``#BSUB``) mark headers whose
    meaning only sbatch should judge.
    """

    lines: tuple[str, ...]
    body: str
    directives: tuple[str, ...]
    options: tuple[Option, ...]
    own_arguments: tuple[str, ...]
    is_heterogeneous: bool
    is_foreign: bool


def read_header(text: str) -> Header:
    """Read the header of a script's text.

    Raises:
        ScriptError: a directive has an unmatched quote, which sbatch refuses too.
    """
    lines: list[str] = []
    directives: list[str] = []
    arguments: list[str] = []
    own_arguments: list[str] = []
    rest = text
    while rest:
        line, newline, after = rest.partition("\n")
        if line.strip() and not line.lstrip().startswith("#"):
            break
        lines.append(line)
        rest = after
        if line.startswith(_MAGIC):
            directives.append(line.rstrip("\r"))  # Python takes DOS line ends, sbatch does not
            arguments += split_directive(line[len(next(magic for magic in _MAGIC if line.startswith(magic))) :])
        elif line.startswith(_OWN_MAGIC):
            own_arguments += split_directive(line[len(_OWN_MAGIC) :])
        if not newline:
            break
    is_heterogeneous = any(argument.lower() in {"hetjob", "packjob"} for argument in arguments)
    return Header(
        lines=tuple(lines),
        body=rest,
        directives=tuple(directives),
        options=() if is_heterogeneous else split_options(arguments).options,
        own_arguments=tuple(own_arguments),
        is_heterogeneous=is_heterogeneous,
        is_foreign=any(line.startswith(_OTHER_SCHEDULERS) for line in text.splitlines()),
    )


def own_directives(header: Header, *, own: frozenset[str], own_with_value: frozenset[str]) -> tuple[Option, ...]:
    """What the ``#GSBATCH`` lines say.

    Raises:
        UsageError: they hold something that is no gsbatch option.
    """
    found: SplitArguments = split_options(header.own_arguments, own=own, own_with_value=own_with_value)
    strays = [argument for option in found.options for argument in option.arguments] + list(found.rest)
    if strays:
        raise UsageError(
            f"'{strays[0]}' on a #GSBATCH line is no gsbatch option.",
            hint="sbatch's own options belong on #SBATCH lines.",
        )
    return found.own


def split_directive(line: str) -> list[str]:
    """Split one directive into arguments as sbatch does: quotes group, a backslash keeps a space, ``#`` ends the line.

    Raises:
        ScriptError: a quote is not closed.
    """
    arguments: list[str] = []
    argument: str | None = None
    quote = ""
    position = 0
    while position < len(line):
        letter = line[position]
        position += 1
        if letter == "\\" and position < len(line):
            argument = (argument or "") + line[position]
            position += 1
        elif quote:
            argument, quote = (argument, "") if letter == quote else ((argument or "") + letter, quote)
        elif letter in "\"'":
            argument, quote = argument or "", letter
        elif letter == "#":
            break
        elif letter.isspace():
            arguments += [] if argument is None else [argument]
            argument = None
        else:
            argument = (argument or "") + letter
    if quote:
        raise ScriptError(f"A directive has an unmatched {quote}: {line.strip()}")
    return arguments if argument is None else [*arguments, argument]
