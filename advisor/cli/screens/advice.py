"""Advice for a person, on stderr."""

from __future__ import annotations

import sys

from advisor.request.job import Job
from advisor.workflows.advise import Advice


def show_advice(advice: Advice, job: Job, *, all_placements: bool) -> None:
    """Print advice on stderr; the short form is left out where sbatch's --quiet was given."""
    if job.line.has("quiet") and not all_placements:
        return
    from advisor.cli.screens.advice_table import print_advice  # noqa: PLC0415 (loads rich, slow and not always needed)

    print_advice(
        advice.recommendation, advice.picks, file=sys.stderr, currency=job.settings.currency, show_all=all_placements
    )
