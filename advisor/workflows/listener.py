"""Callbacks for what a person should see before a workflow returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from advisor.request.job import Job
from advisor.workflows.advise import Advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """``tell`` takes one line for a person, ``advised`` the advice as soon as there is some.

    ``watch`` is told every second what takes so long, and "" once it is done. ``advice_may_take`` is told the seconds
    that advice may take, once they are known.
    """

    tell: Callable[[str], None]
    advised: Callable[[Job, Advice], None]
    watch: Callable[[str], None] = lambda _text: None
    advice_may_take: Callable[[float], None] = lambda _limit_s: None
