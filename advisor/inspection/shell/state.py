"""What a shell knows while a script is followed: variables, arrays, functions, its folder, what was activated.

A value that cannot be known without running the script is a ``Word`` with a ``HOLE`` and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

# Stands in a text for a part that is not known. No argument of a command can contain it.
HOLE = "\0"
# Reads a text file by its path, from a folder; None where it is not here.
ReadFile = Callable[[str, "str | None"], "str | None"]
_STAND_IN = re.compile(r"\$\{gsbatch_unknown_\d+\}")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command; ``text`` has a HOLE for each part that is not known, ``unknown`` says why."""

    text: str
    unknown: tuple[str, ...] = ()

    def __add__(self, other: Word) -> Word:
        return Word(self.text + other.text, self.unknown + other.unknown)


def hole(reason: str) -> Word:
    """A word of which nothing is known."""
    return Word(HOLE, (reason,))


def joined(words: Sequence[Word], separator: str = " ") -> Word:
    """Words as one."""
    return Word(separator.join(word.text for word in words), tuple(item for word in words for item in word.unknown))


def literal_text(text: str) -> Word:
    """A text in single quotes; a part that ``as_script`` has put a variable for is not known."""
    holed = _STAND_IN.sub(HOLE, text)
    return Word(holed, ("a part of a text that is not known",) * holed.count(HOLE))


@dataclass(frozen=True, slots=True)
class Setup:
    """What the commands so far have activated: a conda environment, a virtual one, environment modules.

    ``conda_root`` is conda's own folder where the script names it.
    """

    conda: Word | None = None
    conda_root: str | None = None
    virtual_environment: Word | None = None
    modules: tuple[str, ...] = ()


@dataclass
class State:
    """The state of one shell.

    ``variables`` holds None for a name that is known to be unset; a name that is missing may come from the job's
    environment. ``files`` are texts that the script itself writes, by path as written. ``loops`` counts the loops
    around the current command of which the number of rounds is not known. ``read_file`` reads a text file of the job
    by its path and the folder that it is relative to.
    """

    variables: dict[str, Word | None] = field(default_factory=dict)
    arrays: dict[str, dict[str, Word]] = field(default_factory=dict)
    functions: dict[str, Node] = field(default_factory=dict)
    arguments: tuple[Word, ...] = ()
    exported: set[str] = field(default_factory=set)
    files: dict[str, Word] = field(default_factory=dict)
    setup: Setup = field(default_factory=Setup)
    loops: int = 0
    exports_all: bool = False
    read_file: ReadFile | None = None

    def read(self, path: str) -> str | None:
        """The text of a file, None where it is not here."""
        here = self.variables.get("PWD")
        known = None if here is None or here.unknown else here.text
        return None if self.read_file is None else self.read_file(path, known)

    def copy(self) -> State:
        """An independent copy."""
        return State(
            dict(self.variables), {name: dict(items) for name, items in self.arrays.items()}, dict(self.functions),
            self.arguments, set(self.exported), dict(self.files), self.setup, self.loops, self.exports_all,
            self.read_file,
        )  # fmt: skip

    def become(self, other: State) -> None:
        """Take another state's values, in place."""
        self.__dict__.update(other.copy().__dict__)

    def child(self, arguments: Sequence[Word], own: Mapping[str, Word]) -> State:
        """The shell that a command of this one starts: it inherits what is exported, and ``own`` assignments."""
        found = self.copy()
        found.variables = {name: word for name, word in self.variables.items() if name in self.exported or word is None}
        found.variables.update(own)
        found.exported = {*self.exported, *own}
        found.variables["PWD"] = self.variables.get("PWD")
        found.arrays, found.arguments, found.exports_all = {}, tuple(arguments), False
        return found

    def assign(self, name: str, value: Word | None) -> None:
        """Set a variable; of an array, its first element."""
        self.arrays.pop(name, None)
        self.variables[name] = value
        if self.exports_all:
            self.exported.add(name)

    def as_script(self, text: Word) -> str:
        """A text as a script for this shell: each part that is not known becomes a variable that is not known."""
        reasons = (
            text.unknown if len(text.unknown) == text.text.count(HOLE) else (text.unknown[:1] or ("",)) * len(text.text)
        )
        first, *rest = text.text.split(HOLE)
        script = first
        for reason, part in zip(reasons, rest, strict=False):
            name = f"gsbatch_unknown_{len(self.variables)}"
            self.variables[name] = hole(reason)
            self.exported.add(name)
            script += f"${{{name}}}{part}"
        return script

    def written(self, path: str) -> Word | None:
        """A text that the script itself has written, by its path or, for a folder of another name, by its file name."""
        exact = self.files.get(path.removeprefix("./"))
        name = path.rpartition("/")[2]
        alike = [text for other, text in self.files.items() if other.rpartition("/")[2] == name]
        return exact if exact is not None else alike[0] if len(alike) == 1 else None

    @property
    def environment(self) -> dict[str, Word]:
        """The exported variables."""
        return {name: word for name, word in self.variables.items() if word is not None and name in self.exported}


def fresh(variables: Mapping[str, str], arguments: Sequence[str], read_file: ReadFile | None = None) -> State:
    """A shell with this environment and these arguments."""
    return State(
        variables={name: Word(value) for name, value in variables.items()},
        arguments=tuple(Word(item) for item in arguments),
        exported=set(variables),
        read_file=read_file,
    )


def merge(states: Sequence[State], *, why: str = "which is set under a condition") -> State:
    """The state after one of several ways was taken; what they do not agree about is not known."""
    first, *others = states
    found = first.copy()
    for name in {name for state in states for name in state.variables}:
        if any(_differs(first.variables, other.variables, name) for other in others):
            found.variables[name] = hole(f"${name}, {why}")
    for name in {name for state in states for name in state.arrays}:
        if any(_differs(first.arrays, other.arrays, name) for other in others):
            found.arrays[name] = {"0": hole(f"${{{name}[@]}}, {why}")}
    for other in others:
        found.functions = {**other.functions, **found.functions}
        found.files = {**other.files, **found.files}
        found.exported |= other.exported
        if other.arguments != found.arguments:
            found.arguments = (hole(f"$@, {why}"),)
        found.setup = _merged_setup(found.setup, other.setup)
    return found


def _differs(one: Mapping[str, object], other: Mapping[str, object], name: str) -> bool:
    absent = object()
    return one.get(name, absent) != other.get(name, absent)


def _merged_setup(one: Setup, other: Setup) -> Setup:
    doubt = hole("an environment, which is activated under a condition")
    return replace(
        one,
        conda=one.conda if one.conda == other.conda else doubt,
        virtual_environment=one.virtual_environment if one.virtual_environment == other.virtual_environment else doubt,
        modules=tuple(dict.fromkeys((*one.modules, *other.modules))),
    )
