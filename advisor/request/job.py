"""A submission as the user asked for it: script, settings, facts and sbatch options, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from advisor.account import user_name
from advisor.errors import UsageError
from advisor.request.asked import Asked, read_asked
from advisor.request.command_line import (
    DIRECTIVE_FLAGS,
    DIRECTIVE_WITH_VALUE,
    CommandLine,
    environment_facts,
    facts,
    setting_texts,
)
from advisor.request.directives import own_directives
from advisor.request.script import Script, find_script, read_script, stdin_script, wrapped_script
from advisor.settings import Settings, load_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What all modes start from. ``option_facts`` win over ``directive_facts``; both are name to text."""

    line: CommandLine
    environment: Mapping[str, str]
    script: Script
    settings: Settings
    asked: Asked
    option_facts: Mapping[str, str]
    directive_facts: Mapping[str, str]

    @property
    def user(self) -> str:
        """Whose job it is."""
        return user_name()

    @property
    def script_path(self) -> str:
        """The script's name in tickets and the corpus: its path, or, without a path, the name that sbatch gives it."""
        return spelled(str(self.script.path or self.script.name))

    @property
    def is_test(self) -> bool:
        """``--test-only``: nothing is submitted and nothing is written."""
        return self.line.has("test-only")


def spelled(text: str) -> str:
    """Text that JSON and SQLite take: bytes of a path or argument that are no UTF-8 become backslashes and digits."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def read_job(line: CommandLine, script: Script, environment: Mapping[str, str]) -> Job:
    """Merge what command line, environment, directives and settings files say.

    Raises:
        UsageError: a ``#GSBATCH`` line, a variable or a settings file has a mistake, or an sbatch option that bears
            on the placement cannot be read.
    """
    directives = own_directives(script.header, own=DIRECTIVE_FLAGS, own_with_value=DIRECTIVE_WITH_VALUE)
    settings = load_settings(
        command_line=setting_texts(line.own), directives=setting_texts(directives), environment=environment
    )
    return Job(
        line=line,
        environment=environment,
        script=script,
        settings=settings,
        asked=read_asked(line.options, environment, script.header.options),
        option_facts={**environment_facts(environment), **facts(line.own)},
        directive_facts=facts(directives),
    )


def load_script(line: CommandLine, environment: Mapping[str, str], stdin_data: bytes | None) -> Script:
    """The script that the command line names, wherever it comes from.

    Raises:
        ScriptError: it is missing, cannot be read or is no script.
        UsageError: there is a script beside ``--wrap``.
    """
    command = line.value("wrap")
    if command is not None:
        if line.script is not None:
            raise UsageError("--wrap and a script exclude each other.", hint="Script arguments do not go with --wrap.")
        return wrapped_script(command)
    if line.script is not None:
        search_path = environment.get("PATH", "")
        found = find_script(line.script, folder=Path(), search_path=search_path, chdir=line.value("chdir"))
        return read_script(found, line.arguments)
    return stdin_script(stdin_data or b"")
