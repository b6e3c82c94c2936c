"""Renders batch scripts with Jinja2.

Templates hold no logic beyond substitution, loops and "if present". Everything they print is quoted for the shell,
unless Python marked it as lines that stand as they are.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jinja2

from advisor.errors import RenderingError
from advisor.rendering.picks import Pick
from advisor.rendering.recorder_command import RecorderCommand
from advisor.rendering.submitted_source import SubmittedSource, submitted_source
from advisor.request.script import Script, ScriptKind


class Verbatim(str):
    """Text that a template prints as it is: the user's own lines, and directives that were checked."""

    __slots__ = ()


def render(
    script: Script,
    picks: Sequence[Pick],
    *,
    template_dir: Path,
    recorder: RecorderCommand | None,
    python: Sequence[str] = (),
) -> str:
    """Write the batch script.

    Args:
        script: the user's script, of any kind but UNTOUCHED.
        picks: what to add to its header.
        template_dir: where the templates lie.
        recorder: None leaves the recording out.
        python: the interpreter's command, for a Python script.

    Raises:
        RenderingError: a template is missing, broken, or asks for a value that it was not given.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_dir),
        undefined=jinja2.StrictUndefined,
        finalize=_quoted,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 (the output is a shell script; finalize quotes every value for the shell)
    )
    template = "python.sbatch.j2" if script.kind is ScriptKind.PYTHON else "shell.sbatch.j2"
    first, *others = script.header.lines or ("",)
    command = (*python, str(script.path), *script.arguments) if script.kind is ScriptKind.PYTHON else ()
    try:
        return environment.get_template(template).render(
            first_line=Verbatim(first),
            header_lines=[Verbatim(line) for line in others],
            user_directives=[Verbatim(line) for line in script.header.directives],
            picks=[Verbatim(pick.directive) for pick in picks],
            command=command,
            submitted=_submitted(script, python),
            recorder=recorder if script.kind is not ScriptKind.HEADER_ONLY else None,
            body=Verbatim(script.header.body),
        )
    except jinja2.TemplateNotFound as exc:
        raise RenderingError(f"The template {exc.name} is missing from {template_dir}.") from exc
    except jinja2.TemplateError as exc:
        raise RenderingError(f"The template {template} cannot be used: {exc}") from exc


def _submitted(script: Script, python: Sequence[str]) -> SubmittedSource | None:
    if script.kind is not ScriptKind.PYTHON:
        return None
    found = submitted_source(script, python)
    if found is None:
        return None
    return replace(found, loader=Verbatim(found.loader), source=Verbatim(found.source))


def plain_python_script(script: Script, python: Sequence[str]) -> str:
    """The least that runs a Python script with sbatch: for when a template cannot be used."""
    return "\n".join(
        [
            "#!/bin/bash",
            *script.header.directives,
            f"exec {shlex.join((*python, str(script.path), *script.arguments))}",
            "",
        ]
    )


def _quoted(value: object) -> object:
    """Quote what a template prints; arguments in a tuple are quoted one by one.

    An undefined value passes through: printing it is what raises.
    """
    if isinstance(value, Verbatim | jinja2.Undefined):
        return value
    arguments = [str(argument) for argument in value] if isinstance(value, tuple) else [str(value)]
    if any("\0" in argument for argument in arguments):
        raise RenderingError("A value with a NUL byte cannot stand in a batch script.")
    return shlex.join(arguments)
