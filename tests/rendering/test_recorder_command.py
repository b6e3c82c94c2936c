"""The recorder's command line, as it is written into batch scripts."""

from __future__ import annotations

from pathlib import Path

from advisor.rendering.recorder_command import recorder_command
from advisor.units import GainRule

SPOOL = Path("/spool")


def test_rules_for_stopping_reach_the_recorder() -> None:
    """What was asked for, each with its own option."""
    command = recorder_command(
        SPOOL,
        ticket_id="t",
        energy_budget_j=2e6,
        budget_on="projected",
        budget_signal="USR1",
        min_gain=GainRule(per_kj=0.01, metric="val_accuracy", patience=5),
    )

    assert (
        "--energy-budget", "2000000", "--budget-on", "projected", "--min-gain", "0.01:val_accuracy:5",
        "--budget-signal", "USR1", "--",
    ) == command.words[-9:]  # fmt: skip


def test_a_site_s_signal_alone_asks_for_nothing() -> None:
    """Without a rule there is nothing to stop, and the job's script stays as short as it was."""
    command = recorder_command(SPOOL, ticket_id="t", budget_on="projected", budget_signal="USR1")

    assert ("--ticket", "t", "--") == command.words[-3:]
