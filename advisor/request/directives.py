"""A script's header: its ``#SBATCH`` and ``#GSBATCH`` lines, read by sbatch's own rules.

Directives end at the first line that is neither blank nor a comment; words are split with sbatch's quoting, and
nothing is expanded.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.errors import ScriptError, UsageError
from advisor.request.sbatch_options import Option, OptionWords, split_options

_MAGIC = ("#SBATCH", "#SLURM")
_OWN_MAGIC = "#GSBATCH"
_OTHER_SCHEDULERS = ("#PBS", "#BSUB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The comment lines that a script begins with.

    ``lines`` are all of them, verbatim, without line ends, the ``#!`` line first where there is one; ``body`` is the
    rest of the text. ``directives`` are the ``#SBATCH`` lines, verbatim; ``options`` what they say. ``own_words`` are
    the words of the ``#GSBATCH`` lines. ``is_heterogeneous`` and ``is_foreign`` (``#PBS``, ``#BSUB``) mark headers
    whose meaning only sbatch should judge.
    """

    lines: tuple[str, ...]
    body: str
    directives: tuple[str, ...]
    options: tuple[Option, ...]
    own_words: tuple[str, ...]
    is_heterogeneous: bool
    is_foreign: bool


def read_header(text: str) -> Header:
    """Take a script's text apart.

    Raises:
        ScriptError: a directive has an unmatched quote, which sbatch refuses too.
    """
    lines: list[str] = []
    directives: list[str] = []
    words: list[str] = []
    own_words: list[str] = []
    rest = text
    while rest:
        line, newline, after = rest.partition("\n")
        if line.strip() and not line.lstrip().startswith("#"):
            break
        lines.append(line)
        rest = after
        if line.startswith(_MAGIC):
            directives.append(line)
            words += split_words(line[len(next(magic for magic in _MAGIC if line.startswith(magic))) :])
        elif line.startswith(_OWN_MAGIC):
            own_words += split_words(line[len(_OWN_MAGIC) :])
        if not newline:
            break
    is_heterogeneous = any(word.lower() in {"hetjob", "packjob"} for word in words)
    return Header(
        lines=tuple(lines),
        body=rest,
        directives=tuple(directives),
        options=() if is_heterogeneous else split_options(words).options,
        own_words=tuple(own_words),
        is_heterogeneous=is_heterogeneous,
        is_foreign=any(line.startswith(_OTHER_SCHEDULERS) for line in text.splitlines()),
    )


def own_directives(header: Header, *, own: frozenset[str], own_with_value: frozenset[str]) -> tuple[Option, ...]:
    """What the ``#GSBATCH`` lines say.

    Raises:
        UsageError: they hold something that is no gsbatch option.
    """
    found: OptionWords = split_options(header.own_words, own=own, own_with_value=own_with_value)
    strays = [word for option in found.options for word in option.words] + list(found.rest)
    if strays:
        raise UsageError(
            f"'{strays[0]}' on a #GSBATCH line is no gsbatch option.",
            hint="sbatch's own options belong on #SBATCH lines.",
        )
    return found.own


def split_words(line: str) -> list[str]:
    """Split one directive into words as sbatch does: quotes group, a backslash keeps a space, ``#`` ends the line.

    Raises:
        ScriptError: a quote is not closed.
    """
    words: list[str] = []
    word: str | None = None
    quote = ""
    position = 0
    while position < len(line):
        letter = line[position]
        position += 1
        if letter == "\\" and position < len(line):
            word = (word or "") + line[position]
            position += 1
        elif quote:
            word, quote = (word, "") if letter == quote else ((word or "") + letter, quote)
        elif letter in "\"'":
            word, quote = word or "", letter
        elif letter == "#":
            break
        elif letter.isspace():
            words += [] if word is None else [word]
            word = None
        else:
            word = (word or "") + letter
    if quote:
        raise ScriptError(f"A directive has an unmatched {quote}: {line.strip()}")
    return words if word is None else [*words, word]
