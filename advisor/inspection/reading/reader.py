"""What the modules that know libraries and objects ask of the one that knows the program (resolve.py)."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from advisor.inspection.reading.structure import CallSite, Guard, Place, Program, Scope
from advisor.inspection.reading.values import Function, Made, Value


class Reader(Protocol):
    """Values of one program."""

    @property
    def program(self) -> Program:
        """What is read."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the job gives the script."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The job's."""

    @property
    def folder(self) -> Path:
        """Where relative paths lead."""

    @property
    def files(self) -> list[Path]:
        """The configuration files that were read."""

    @property
    def sites(self) -> Mapping[str, Sequence[CallSite]]:
        """The calls of the program by the names that they hold."""

    def made_at(self, site: CallSite) -> Made:
        """A call's name and arguments."""

    def receiver(self, site: CallSite) -> Value:
        """What a method is called on."""

    def attribute(self, owner: Value, name: str) -> Value:
        """``owner.name``."""

    def item(self, owner: Value, key: Value) -> Value:
        """``owner[key]``."""

    def value(self, node: ast.expr | None, place: Place) -> Value:
        """The value of an expression at a place."""

    def bound(self, scope: Scope, name: str) -> Value:
        """The last value of a name of a scope."""

    def within(self, scope: Scope, made: Made | None, owner: Value = None) -> Reader:
        """The values in a call of a function: ``made`` are its arguments, None for any; ``owner`` is its object."""

    def returned(self, function: Function, made: Made | None = None) -> Value:
        """What a call of a function of the script's own returns; ``made`` are its arguments, None for any."""

    def holds(self, guards: Sequence[Guard]) -> bool | None:
        """Whether all of these tests come out as wanted."""
