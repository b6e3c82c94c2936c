"""What ``gsbatch`` prints on stderr while it works: advice, and one line for each thing that went wrong."""

from __future__ import annotations

import contextlib
import sys
from functools import partial

from advisor.cli.screens.status_line import StatusLine
from advisor.errors import ModelError
from advisor.request.command_line import CommandLine, Mode
from advisor.request.job import Job
from advisor.workflows.advise import Advice
from advisor.workflows.listener import Listener


def listener_for(line: CommandLine) -> Listener:
    """A listener that prints on stderr, and prints nothing with sbatch's --quiet."""
    if line.has("quiet"):
        return Listener(tell=lambda _text: None, advised=lambda _job, _advice: None)
    submits = line.mode is Mode.SUBMIT
    status = StatusLine(sys.stderr, "Ctrl-C submits now" if submits else "Ctrl-C goes on without it")
    return Listener(tell=_tell, advised=partial(show_advice, all_placements=False), watch=status.show)


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk behind stderr must not cost the job
        sys.stderr.write(f"gsbatch: {text}\n")
        sys.stderr.flush()


def show_advice(job: Job, advice: Advice, *, all_placements: bool) -> None:
    """Print all of the advice, or the first placements."""
    from advisor.cli.screens.advice_table import print_advice  # noqa: PLC0415 (loads rich: slow, not always needed)

    print_advice(
        advice.recommendation, advice.picks, file=sys.stderr, currency=job.settings.currency, show_all=all_placements
    )
    if any(option.name == "methods" for option in job.line.own):
        from advisor.cli.screens.methods_table import print_methods  # noqa: PLC0415 (not always needed)

        ranked = with_methods(job, advice).recommendation.ranked
        print_methods([item.prediction for item in ranked], file=sys.stderr)


def with_methods(job: Job, advice: Advice) -> Advice:
    """Add what other methods predict; if they cannot be read, print why and return the advice unchanged."""
    try:
        return advice.with_methods()
    except ModelError as exc:
        listener_for(job.line).tell(f"other methods are left out: {exc.with_hint}")
        return advice
