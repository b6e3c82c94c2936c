"""Advice ends in time, whatever it is doing."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time

import pytest

from advisor.workflows.time_limit import OutOfTime, time_limit


def test_waiting_for_a_child_process_is_cut_short() -> None:
    """A controller that does not answer must not hold a submission."""
    begun_s = time.monotonic()

    with pytest.raises(OutOfTime), time_limit(0.05):
        subprocess.run(["sleep", "30"], check=False)

    assert time.monotonic() - begun_s < 5


def _stubborn_then_patient() -> None:
    with contextlib.suppress(BaseException):
        subprocess.run(["sleep", "30"], check=False)
    subprocess.run(["sleep", "30"], check=False)


def test_a_handler_that_swallows_everything_meets_it_again() -> None:
    """Foreign code with a bare except gets a second alarm."""
    begun_s = time.monotonic()

    with pytest.raises(OutOfTime), time_limit(0.05):
        _stubborn_then_patient()

    assert time.monotonic() - begun_s < 10


def test_nothing_is_left_behind() -> None:
    """The alarm and its handler are as they were."""
    before = signal.getsignal(signal.SIGALRM)

    with time_limit(100.0):
        pass

    assert (0.0, 0.0) == signal.getitimer(signal.ITIMER_REAL)
    assert before == signal.getsignal(signal.SIGALRM)
