"""Who hears what happens while a submission or a run goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from advisor.request.job import Job
from advisor.workflows.advise import Advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """``tell`` takes one line for a person, ``advised`` the advice as soon as there is some."""

    tell: Callable[[str], None]
    advised: Callable[[Job, Advice], None]
