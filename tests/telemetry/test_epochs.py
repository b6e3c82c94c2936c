"""Marks come from whatever runs in the job: what is none is dropped, and an end without its begin is no epoch."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.telemetry.energy import EnergyMeter
from advisor.telemetry.epochs import EpochLog, read_mark

GOOD: dict[str, Any] = {
    "kind": "epoch_end", "phase": 0, "index": 3, "time_s": 1.7e9, "monotonic_s": 12.5, "steps": 10, "samples": 320,
    "process": 7, "pass_number": 4, "validation": False, "metrics": {"loss": 0.5}, "by": None,
}  # fmt: skip


def test_a_mark_is_read_whole() -> None:
    """Every field that the hook sends arrives."""
    mark = read_mark(json.dumps(GOOD).encode())

    assert mark is not None
    assert GOOD == {name: getattr(mark, name) for name in GOOD}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "sample"}, {"kind": ["epoch_end"]}, {"kind": {}}, {"phase": -1}, {"phase": None}, {"phase": [0]},
        {"index": 1.5}, {"index": True}, {"index": 10**400}, {"time_s": "now"},
        {"time_s": float("nan")}, {"time_s": -1.0}, {"steps": 2**60}, {"validation": 1}, {"metrics": [1]},
        {"monotonic_s": "x"}, {"by": 7}, {"by": "x" * 300}, {"process": None},
    ],
)  # fmt: skip
def test_what_is_no_mark_is_dropped(change: dict[str, Any]) -> None:
    """A field of another kind makes it none."""
    assert read_mark(json.dumps({**GOOD, **change}).encode()) is None


def test_metrics_that_are_no_numbers_are_left_out() -> None:
    """A training may log anything."""
    mark = read_mark(json.dumps({**GOOD, "metrics": {"a": 1, "b": "x", "c": float("nan"), "d": True}}).encode())

    assert mark is not None
    assert {"a": 1.0} == mark.metrics


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_harm_nothing(message: bytes) -> None:
    """The socket is open to every process of the job."""
    read_mark(message)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.integers() | st.floats() | st.text(max_size=3) | st.none()))
def test_marks_of_any_values_are_taken_or_dropped(change: dict[str, Any]) -> None:
    """Whatever is read can be logged."""
    mark = read_mark(json.dumps({**GOOD, **change}).encode())
    if mark is not None:
        EpochLog(EnergyMeter()).add(mark)


def test_an_end_without_its_begin_is_no_epoch() -> None:
    """A recorder that came late, a mark that was lost."""
    mark = read_mark(json.dumps(GOOD).encode())

    assert mark is not None
    assert EpochLog(EnergyMeter()).add(mark) is None
