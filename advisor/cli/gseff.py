"""``gseff``: predicted against measured, for a running or a finished job."""

from __future__ import annotations

import json
import os
import pwd
import re

import click

import advisor
from advisor.cli.errors import handle_errors
from advisor.cli.screens.printable import printable
from advisor.cli.screens.report import report_object, report_text, sum_text
from advisor.errors import UsageError
from advisor.settings import Settings, load_settings
from advisor.workflows.find_job import find_job, last_job_id
from advisor.workflows.site import site_rates

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gseff 123456            a job, running or finished
    gseff 123456_7          one task of an array; 123456 for all its tasks
    gseff --last            the job you submitted last
    gseff 123456 --json | jq '.[0].comparisons.energy_j'
"""
# A job, a task or component of one, or a step of it; or a run of gsbatch --local.
_JOB_ID = re.compile(r"(?P<job>\d{1,10}(?:[_+]\d{1,10})?|local-[\w.-]{1,100}?)(?:\.(?:\d+|batch|extern|interactive))?")


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXAMPLES)
@click.argument("job_id", metavar="JOBID", required=False)
@click.option("--last", is_flag=True, help="The job that was submitted last, in place of a JOBID.")
@click.option("--user", metavar="NAME", help="With --last: whose; else only this user's jobs.")
@click.option("--spool", metavar="DIR", help="Where traces lie; the setting spool_dir where it is not given.")
@click.option("--corpus", metavar="FILE", help="The corpus; the setting corpus where it is not given.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, one object for each attempt or task.")
@click.version_option(advisor.__version__, prog_name="gseff")
def gseff(
    job_id: str | None, user: str | None, spool: str | None, corpus: str | None, *, last: bool, as_json: bool
) -> None:
    """Show what a job was predicted to cost and what it did.

    Works while the job runs (then with a projection), after it, and after its trace was ingested. JOBID is N, N_task,
    N.batch, or local-... for a run of gsbatch --local. Asks sacct once. An error of +10% means that a tenth more was
    predicted than measured; "within" that the measured value lies in the 90% interval.

    The exit status is 0, or 9 where nothing is known of the job.
    """
    named = {name: value for name, value in (("spool_dir", spool), ("corpus", corpus)) if value is not None}
    settings = load_settings(command_line=named)
    wanted = _wanted(job_id, user, settings, last=last)
    attempts = find_job(wanted, settings, tell=_tell, user=user)
    rates = site_rates(settings)
    if as_json:
        click.echo(json.dumps([report_object(found.run, found.course, rates) for found in attempts]))
    else:
        parts = [report_text(found.run, found.course, rates, settings.currency) for found in attempts]
        parts += [sum_text([found.run for found in attempts])] if len(attempts) > 1 else []
        click.echo("\n\n".join(parts))


def _tell(text: str) -> None:
    click.echo(f"gseff: {printable(text)}", err=True)


def _wanted(job_id: str | None, user: str | None, settings: Settings, *, last: bool) -> str:
    if last and job_id is not None:
        raise UsageError("Both --last and a JOBID were given.", hint="Give one of them.")
    if last:
        return last_job_id(settings, _uid_of(user))
    if job_id is None:
        raise UsageError("No JOBID was given.", hint="gseff JOBID, or gseff --last for your last job.")
    match = _JOB_ID.fullmatch(job_id)
    if match is None:
        raise UsageError(f"'{job_id}' is not a job id.", hint="Write N, N_task, N.batch or local-...")
    return match["job"]


def _uid_of(user: str | None) -> int:
    if user is None:
        return os.geteuid()
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise UsageError(f"There is no user '{user}' on this machine.") from None


def main() -> None:
    """Entry point."""
    handle_errors(gseff, prog_name="gseff")
