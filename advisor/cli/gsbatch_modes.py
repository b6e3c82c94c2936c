"""What ``gsbatch`` does when it submits nothing: call one workflow and print what it returns."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from advisor.cli.gsbatch_listener import listener_for, show_advice, with_methods
from advisor.cli.screens.advice_json import advice_object, workload_object
from advisor.errors import ScriptError
from advisor.request.command_line import CommandLine, Mode
from advisor.request.job import Job, load_script, read_job
from advisor.workflows.advise import Advice, advise_in_time
from advisor.workflows.expected_starts import with_expected_starts
from advisor.workflows.inspect_job import inspect_job
from advisor.workflows.write_script import WrittenJob, write_job


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
        sys.stdout.write(json.dumps(advice_object(with_methods(job, _advice(job)).recommendation)) + "\n")
    elif line.mode is Mode.ADVISE:
        show_advice(job, _advice(job), all_placements=True)
    else:
        written = write_job(job, listener_for(line))
        if line.mode is Mode.LOCAL:
            return _run_here(written)
        sys.stdout.buffer.write(written.text.encode("utf-8", "surrogateescape"))  # the bytes, whatever the locale is
    return 0


def _advice(job: Job) -> Advice:
    listener = listener_for(job.line)
    advice = advise_in_time(job, tell=listener.tell, watch=listener.watch)
    return with_expected_starts(advice)


def _explain(job: Job) -> None:
    """Print what is known of the training, for a person or, with ``--json``, for a program."""
    listener = listener_for(job.line)
    workload = inspect_job(job, tell=listener.tell, watch=listener.watch).workload
    if any(option.name == "json" for option in job.line.own):
        sys.stdout.write(json.dumps({"workload": workload_object(workload), "notes": list(workload.notes)}) + "\n")
        return
    from advisor.cli.screens.workload_table import print_workload  # noqa: PLC0415 (loads rich: slow, not always needed)

    print_workload(workload, file=sys.stdout)


def _run_here(written: WrittenJob) -> int:
    from advisor.cli.screens.report import report_text  # noqa: PLC0415 (only this mode needs it)
    from advisor.workflows.run_here import run_here  # noqa: PLC0415 (loads the corpus: slow, not always needed)
    from advisor.workflows.site import site_rates  # noqa: PLC0415 (only this mode needs it)

    run = run_here(written, tell=listener_for(written.job.line).tell)
    settings = written.job.settings
    for attempt in run.attempts:
        report = report_text(attempt.run, attempt.course, site_rates(settings), settings.currency)
        sys.stdout.write(report + "\n")
    return run.status
