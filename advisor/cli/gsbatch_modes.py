"""What ``gsbatch`` does in each mode: call one workflow and print what it returns."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TextIO

from advisor.cli.screens.advice_json import advice_object, workload_object
from advisor.cli.supervised import Child
from advisor.errors import ModelError, ScriptError
from advisor.request.command_line import CommandLine, Mode
from advisor.request.job import Job, load_script, read_job
from advisor.submission.submit import Outputs
from advisor.workflows.advise import Advice, advise_in_time
from advisor.workflows.expected_starts import with_expected_starts
from advisor.workflows.inspect_job import inspect_job
from advisor.workflows.listener import Listener
from advisor.workflows.submit import submit_job
from advisor.workflows.write_script import WrittenJob, write_job


def run_submission(line: CommandLine, environment: Mapping[str, str], child: Child) -> int:
    """Submit, in the child that does so; sbatch's exit status.

    Raises:
        SlurmNotFound: there is no sbatch to submit with.
    """
    submission = submit_job(
        line,
        environment,
        read_stdin=sys.stdin.buffer.read,
        outputs=Outputs(partial(_hand_on, sys.stdout), partial(_hand_on, sys.stderr)),
        listener=replace(_listener(line), advice_may_take=child.advice_may_take, submitting=child.submitting),
        is_plain=child.is_plain,
    )
    return submission.returncode


def run_without_submission(line: CommandLine, environment: Mapping[str, str]) -> int:
    """Advise, explain, print the script or run it here; the exit status, which for ``--local`` is the training's.

    Raises:
        AdvisorError: it cannot be done. Nothing is submitted, so nothing has to go on without advice.
    """
    if line.is_heterogeneous:
        raise ScriptError("A heterogeneous job is submitted as it is; there is nothing to advise.")
    script = load_script(line, environment, sys.stdin.buffer.read() if line.reads_stdin else None)
    job = read_job(line, script, environment)
    if line.mode is Mode.EXPLAIN:
        _explain(job)
    elif line.mode is Mode.JSON:
        sys.stdout.write(json.dumps(advice_object(_with_methods(job, _advice(job)).recommendation)) + "\n")
    elif line.mode is Mode.ADVISE:
        _show_advice(job, _advice(job), all_placements=True)
    else:
        written = write_job(job, _listener(line))
        if line.mode is Mode.LOCAL:
            return _run_here(written)
        sys.stdout.buffer.write(written.text.encode("utf-8", "surrogateescape"))  # the bytes, whatever the locale is
    return 0


def _advice(job: Job) -> Advice:
    advice = advise_in_time(job, tell=_listener(job.line).tell)
    return with_expected_starts(job, advice)


def _with_methods(job: Job, advice: Advice) -> Advice:
    """The advice with what other methods say; without, and a line that says why, where they cannot be read."""
    try:
        return advice.with_methods()
    except ModelError as exc:
        _listener(job.line).tell(f"other methods are left out: {exc.with_hint}")
        return advice


def _explain(job: Job) -> None:
    """Print what is known of the training, for a person or, with ``--json``, for a program."""
    workload = inspect_job(job, tell=_listener(job.line).tell).workload
    if any(option.name == "json" for option in job.line.own):
        sys.stdout.write(json.dumps({"workload": workload_object(workload), "notes": list(workload.notes)}) + "\n")
        return
    from advisor.cli.screens.workload_table import print_workload  # noqa: PLC0415 (loads rich: slow, not always needed)

    print_workload(workload, file=sys.stdout)


def _run_here(written: WrittenJob) -> int:
    from advisor.cli.screens.report import report_text  # noqa: PLC0415 (only this mode needs it)
    from advisor.workflows.run_here import run_here  # noqa: PLC0415 (loads the corpus: slow, not always needed)
    from advisor.workflows.site import site_rates  # noqa: PLC0415 (only this mode needs it)

    run = run_here(written, tell=_listener(written.job.line).tell)
    settings = written.job.settings
    for attempt in run.attempts:
        report = report_text(attempt.run, attempt.course, site_rates(settings), settings.currency)
        sys.stdout.write(report + "\n")
    return run.status


def _listener(line: CommandLine) -> Listener:
    """Sbatch's --quiet silences our messages and the advice, too."""
    if line.has("quiet"):
        return Listener(tell=lambda _text: None, advised=lambda _job, _advice: None)
    return Listener(tell=_tell, advised=partial(_show_advice, all_placements=False))


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk behind stderr must not cost the job
        sys.stderr.write(f"gsbatch: {text}\n")
        sys.stderr.flush()


def _show_advice(job: Job, advice: Advice, *, all_placements: bool) -> None:
    from advisor.cli.screens.advice_table import print_advice  # noqa: PLC0415 (loads rich: slow, not always needed)

    print_advice(
        advice.recommendation, advice.picks, file=sys.stderr, currency=job.settings.currency, show_all=all_placements
    )
    if any(option.name == "methods" for option in job.line.own):
        from advisor.cli.screens.methods_table import print_methods  # noqa: PLC0415 (not always needed)

        ranked = _with_methods(job, advice).recommendation.ranked
        print_methods([item.prediction for item in ranked], file=sys.stderr)


def _hand_on(stream: TextIO, data: bytes) -> None:
    with contextlib.suppress(OSError):  # output that nobody reads costs neither the job nor its status, as with sbatch
        while data:
            data = data[os.write(stream.fileno(), data) :]
