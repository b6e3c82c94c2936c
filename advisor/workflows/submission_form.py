"""In which form a job is handed to sbatch, so that it is recorded and is still the job that the user wrote.

A batch script is submitted as it is wherever that can be: Slurm then shows its path as the job's command, and a script
that looks for itself (``scontrol show job``, ``tail -n +5 "$0"``) finds what it would find without us.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from advisor.rendering.bash_start import bash_start
from advisor.rendering.picks import Pick
from advisor.rendering.recorder_command import RecorderCommand
from advisor.request.job import Job
from advisor.request.script import WRAP_HEAD, ScriptKind

# How a script asks Slurm for its own path. "scontrol show hostnames" is no such way.
_ASKS_FOR_PATH = re.compile(
    r"\bscontrol\b(?s:.*)\bCommand\b"
    r"|\bsqueue\b(?s:.*)(%[.\d]*o\b|(-O|--Format)\W\S*(?i:command))"
    r"|\bsacct\b(?s:.*)(?i:submitline)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionForm:
    """What sbatch gets beside what the user typed.

    Attributes:
        text: a batch script of ours in place of the user's; None submits the user's own.
        wrap: the command of ``--wrap`` in place of the user's; None where there is none.
        options: of sbatch, before those of the user.
        variables: added to the job's environment.
        note: why the job is not recorded; None where it is, or where that was not asked for.
    """

    text: str | None = None
    wrap: str | None = None
    options: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None


def submission_form(
    job: Job, picks: Sequence[Pick], recorder: RecorderCommand | None, *, python: Sequence[str]
) -> SubmissionForm:
    """The form for a job of any kind but UNTOUCHED.

    Raises:
        RenderingError: see ``render``.
    """
    script = job.script
    if script.kind is ScriptKind.PYTHON:
        return SubmissionForm(text=_rendered(job, picks, recorder, python))
    options = tuple(pick.option for pick in picks)
    command = job.line.value("wrap")
    if recorder is None or script.kind is ScriptKind.HEADER_ONLY:
        return SubmissionForm(options=options, wrap=command)
    variables = bash_start(script, recorder, job.environment) if job.asked.exports_environment else None
    if variables is not None:
        return SubmissionForm(options=options, variables=variables)
    if script.path is not None and _ASKS_FOR_PATH.search(script.text):
        why = f"{script.name} may look for its own path in Slurm, and only bash lets it keep that"
        return SubmissionForm(options=options, note=f"not recorded: {why}")
    text = _rendered(job, (), recorder, ())
    if command is not None:
        return SubmissionForm(options=options, wrap=text.removeprefix(WRAP_HEAD).removesuffix("\n"))
    return SubmissionForm(options=options, text=text)


def _rendered(job: Job, picks: Sequence[Pick], recorder: RecorderCommand | None, python: Sequence[str]) -> str:
    from advisor.rendering.render import render  # noqa: PLC0415 (loads Jinja2, 23 ms that a bash script does not need)

    return render(job.script, picks, template_dir=job.settings.template_dir, recorder=recorder, python=python)
