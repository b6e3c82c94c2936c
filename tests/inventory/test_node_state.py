"""Which node states take jobs."""

from __future__ import annotations

import pytest

from advisor.inventory.node_state import unavailable_reason


@pytest.mark.parametrize(
    "state",
    [
        "IDLE",
        "MIXED",
        "ALLOCATED",
        "MIXED+PLANNED",
        "IDLE+CLOUD+POWERED_DOWN",
        "IDLE+CLOUD+POWERING_UP",
        "IDLE~",
        "MIX-",
        "ALLOCATED+COMPLETING",
        "IDLE+DYNAMIC_NORM",
        "IDLE+REBOOT_REQUESTED",
        "MIXED+BLOCKED",
    ],
)
def test_these_states_take_jobs(state: str) -> None:
    """A node that is planned, asleep in the cloud, completing or about to reboot takes jobs sooner or later."""
    assert unavailable_reason(state.split("+"), None) is None


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("IDLE+DRAIN", "drained"),
        ("MIXED+DRAIN", "drained"),
        ("DOWN*", "down"),
        ("DOWN+DRAIN+NOT_RESPONDING", "down"),
        ("IDLE*", "not responding"),
        ("IDLE+NOT_RESPONDING", "not responding"),
        ("IDLE+FAIL", "failing"),
        ("IDLE+MAINT", "in maintenance"),
        ("IDLE+RESERVED", "reserved"),
        ("IDLE+INVALID_REG", "misconfigured (Slurm says INVALID_REG)"),
        ("INVAL", "misconfigured (Slurm says INVAL)"),
        ("FUTURE", "not in service yet"),
        ("UNKNOWN", "in a state unknown to Slurm"),
    ],
)
def test_these_states_do_not_take_jobs(state: str, expected: str) -> None:
    """The reason is in a person's words; the strongest one is said."""
    assert expected == unavailable_reason(state.split("+"), None)


def test_the_administrators_words_are_kept() -> None:
    """The user sees why, not only that."""
    assert "drained: fan broken" == unavailable_reason(("IDLE", "DRAIN"), "fan broken")
