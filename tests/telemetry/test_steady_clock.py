"""Time that a node's administrator cannot turn back."""

from __future__ import annotations

import time

import pytest

from advisor.telemetry.steady_clock import SteadyClock


def test_another_process_s_instant_is_on_our_clock_whatever_its_wall_clock_says() -> None:
    """The wall clock was set by a day between its begin and ours: the monotonic clock is the machine's."""
    clock = SteadyClock()

    assert pytest.approx(clock(), abs=1.0) == clock.wall_s(time.monotonic(), time.time() - 86_400)


@pytest.mark.parametrize("monotonic_s", [None, 1e9, -1e9])
def test_a_monotonic_clock_of_elsewhere_says_nothing(monotonic_s: float | None) -> None:
    """A container may have a time namespace of its own: then its wall clock is the best there is."""
    assert 1.7e9 == SteadyClock().wall_s(monotonic_s, 1.7e9)
