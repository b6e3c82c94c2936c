"""How a job is recorded survives the way from the batch script to the samplers of all nodes."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.rendering.recorder_options import RecorderOptions, parse_recorder_arguments

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
_WORD = _TEXT.filter(lambda text: not text.startswith("-"))


def _parsed(arguments: list[str]) -> tuple[RecorderOptions, list[str]]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    options, own = parse_recorder_arguments(parser, arguments)
    return options, own.command


@given(
    st.builds(
        RecorderOptions,
        spool=_WORD,
        ticket=st.none() | _WORD,
        interval_s=st.sampled_from([1.0, 0.25, 10.0]),
        gpu_readings=st.none() | _WORD,
        energy_budget_j=st.floats(1.0, 1e12),
        budget_on=st.sampled_from(["spent", "projected"]),
        budget_signal=st.none() | st.just("USR1"),
        min_gain=st.none() | st.just("0.01:val_accuracy:5"),
        probe=st.none() | st.sampled_from(["auto", "on"]),
    ),
    st.lists(_TEXT, min_size=1),
)
def test_what_is_written_is_what_is_read(options: RecorderOptions, command: list[str]) -> None:
    """Any folder name, any command, its own options and ``--`` included."""
    found, found_command = _parsed([*options.to_arguments(), "--", *command])

    assert pytest.approx(options.energy_budget_j, rel=1e-12) == found.energy_budget_j
    assert options._replace(energy_budget_j=None) == found._replace(energy_budget_j=None)
    assert command == found_command


def test_defaults_are_not_written() -> None:
    """The batch script is read by people: it says what differs."""
    assert ["--spool", "/spool", "--ticket", "t"] == RecorderOptions(spool="/spool", ticket="t").to_arguments()


def test_a_signal_without_a_rule_is_not_written() -> None:
    """A site's budget signal alone stops nothing."""
    options = RecorderOptions(spool="/spool", budget_on="projected", budget_signal="USR1")

    assert ["--spool", "/spool"] == options.to_arguments()


def test_another_folder_sees_the_same_files() -> None:
    """The sampler leaves the folder that the job began in; absolute paths stay as they are."""
    options = RecorderOptions(spool="spool", gpu_readings="/data/gpu.csv").seen_from("/home/alice")

    assert ("/home/alice/spool", "/data/gpu.csv") == (options.spool, options.gpu_readings)
