"""What a walk through a script is made of: the commands that it meets, and how statements end."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from advisor.inspection.shell.state import State, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that a script starts, with the state of the shell that starts it.

    ``own`` are the variables set in front of it, ``stdin`` the text that a here-document gives it, ``standing`` where
    it stands in its script, ``round`` its number in the loops around it that were followed round by round (0 outside
    of them). ``shell.loops`` is above 0 where it stands in a loop that runs unknown times.
    """

    words: tuple[Word, ...]
    own: dict[str, Word]
    shell: State
    stdin: Word | None
    line: int
    standing: tuple[int, ...]
    round: int
    in_doubt: tuple[tuple[int, int], ...]

    @property
    def environment(self) -> dict[str, Word]:
        """The variables that it inherits."""
        return {**self.shell.environment, **self.own}


class TooLong(Exception):
    """So many commands were followed that the rest of the script is left out."""


class Flow(enum.Enum):
    """How a statement leaves what it stands in."""

    BREAK = enum.auto()
    CONTINUE = enum.auto()
    RETURN = enum.auto()
    EXIT = enum.auto()


@dataclass
class Frame:
    """A loop or a function: states in which it was left under an unknown condition, what its locals hide."""

    kind: Flow
    left: list[State] = field(default_factory=list)
    before: dict[str, Word | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a statement ended; ``succeeds`` is None where that is not known."""

    flow: Flow | None = None
    succeeds: bool | None = True


DONE = Outcome()
