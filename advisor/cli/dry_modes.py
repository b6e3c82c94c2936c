"""``--advise``, ``--explain-workload``, ``--json``, ``--print-script`` and ``--local``: everything but a submission.

Errors are errors here: nothing is submitted that could fail open.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Mapping
from functools import partial

from advisor.cli.messages import say
from advisor.cli.screens.advice import show_advice
from advisor.cli.screens.advice_json import advice_object, workload_object
from advisor.errors import AdvisorError, InspectionError, ScriptError
from advisor.inspection.workload import Workload
from advisor.request.command_line import CommandLine, Mode
from advisor.request.job import Job, load_script, read_job
from advisor.request.script import ScriptKind, python_words
from advisor.workflows.advise import Advice, advise
from advisor.workflows.expected_starts import with_expected_starts
from advisor.workflows.inspect_job import inspect_job
from advisor.workflows.time_limit import OutOfTime, time_limit
from advisor.workflows.write_script import render_job


def run_dry_mode(line: CommandLine, environment: Mapping[str, str]) -> int:
    """Do what the mode says; the exit status, which for ``--local`` is the training's.

    Raises:
        AdvisorError: it cannot be done.
    """
    if line.is_heterogeneous:
        raise ScriptError("A heterogeneous job is submitted as it is; there is nothing to advise.")
    from_stdin = line.script is None and line.value("wrap") is None
    script = load_script(line, environment, sys.stdin.buffer.read() if from_stdin else None)
    job = read_job(line, script, environment)
    if line.mode is Mode.EXPLAIN:
        return _explain(job)
    if line.mode is Mode.JSON:
        advice = with_expected_starts(job, _advice(job))
        sys.stdout.write(json.dumps(advice_object(advice.recommendation)) + "\n")
        return 0
    if line.mode is Mode.ADVISE:
        advice = with_expected_starts(job, _advice(job))
        show_advice(advice, job, all_placements=True)
        return 0
    if script.kind is ScriptKind.UNTOUCHED:
        raise ScriptError(f"{script.name} is submitted as it is: {script.note}.")
    return _with_script(job)


def _explain(job: Job) -> int:
    """Print what is known of the training, for a person or, with ``--json``, for a program."""
    workload = inspect_job(job, tell=partial(say, job.line)).workload
    if any(option.name == "json" for option in job.line.own):
        sys.stdout.write(json.dumps({"workload": workload_object(workload), "notes": list(workload.notes)}) + "\n")
        return 0
    from advisor.cli.screens.workload_table import print_workload  # noqa: PLC0415 (rich is slow to load and not always needed)

    print_workload(workload, file=sys.stdout)
    return 0


def _with_script(job: Job) -> int:
    """The modes in which the script is what counts: it is written although advice may fail, as in a submission."""
    advice = None
    try:
        advice = _advice(job)
        show_advice(advice, job, all_placements=False)
    except AdvisorError as exc:
        say(job.line, f"no advice: {exc}" + (f" {exc.hint}" if exc.hint else ""))
    python: tuple[str, ...] = ()
    if job.script.kind is ScriptKind.PYTHON:
        python = python_words(job.script, environment=job.environment, chosen=job.settings.python)
    ticket_id = uuid.uuid4().hex
    picks, workload = (advice.picks, advice.recommendation.workload) if advice else ((), Workload())
    text = render_job(job, picks, workload, ticket_id=ticket_id, python=python)
    if job.line.mode is Mode.PRINT_SCRIPT:
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))  # the script's bytes, whatever the locale is
        return 0
    from advisor.cli.local_run import run_locally  # noqa: PLC0415 (the corpus is slow to load and not always needed)

    return run_locally(job, text, advice, ticket_id=ticket_id)


def _advice(job: Job) -> Advice:
    limit_s = job.settings.advice_timeout_s
    try:
        with time_limit(limit_s):
            return advise(job, tell=partial(say, job.line))
    except OutOfTime:
        raise InspectionError(
            f"Advice took longer than {limit_s:g} s.",
            hint="Give facts with --set and --no-probe, or set GSBATCH_ADVICE_TIMEOUT_S.",
        ) from None
