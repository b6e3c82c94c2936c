"""The hook's question whether to stop: it costs a moment at most, whatever the sampler does."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from advisor.telemetry.epochs import Mark
from advisor.telemetry.marks_socket import MarksSocket, answer

INJECTED = Path(__file__).parents[3] / "advisor" / "injected"
# Of which the hook may wait a hundredth.
EPOCH_S = 20.0


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The hook of a training that is to be stopped, imported by path as the user's interpreter imports it."""
    monkeypatch.syspath_prepend(str(INJECTED))
    from gsbatch_inside.epochs.sender import MarkSender  # noqa: PLC0415

    made = MarkSender(str(tmp_path / "marks"), asks=True)
    yield made
    vars(made)["_socket"].close()
    for name in [name for name in sys.modules if name.startswith("gsbatch_inside")]:
        del sys.modules[name]


@pytest.fixture
def marks(tmp_path: Path) -> Iterator[MarksSocket]:
    """The sampler's end of the socket."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    end.bind(str(tmp_path / "marks"))
    made = MarksSocket(end.detach())
    yield made
    vars(made)["_socket"].close()


def ended(sender: Any, *, stop: Any, processes: int = 1) -> float:
    """End an epoch of a framework; the seconds that this took."""
    from gsbatch_inside.epochs.stop_word import Way  # noqa: PLC0415

    begun_s = time.monotonic()
    sender.end_epoch(0, 3, Way("keras", stop, processes), time.time() - EPOCH_S, steps=1)
    return time.monotonic() - begun_s


def test_without_a_sampler_nobody_waits(sender: Any) -> None:
    """It was killed: the question cannot be sent, and the training goes on at once."""
    assert ended(sender, stop=pytest.fail) < EPOCH_S / 200


def test_a_sampler_that_does_not_answer_costs_a_hundredth_of_the_epoch(sender: Any, marks: MarksSocket) -> None:
    """It was stopped, or the node is busy."""
    took_s = ended(sender, stop=pytest.fail)

    assert took_s == pytest.approx(0.2, abs=0.15)
    assert 1 == len(marks.receive()[0])


def test_a_late_answer_is_heeded_at_the_next_epoch(sender: Any, marks: MarksSocket) -> None:
    """The decision is not lost, and the training hears it before anything newer."""
    told: list[str] = []
    ended(sender, stop=pytest.fail)
    (mark,), _words = marks.receive()
    answer(mark, stop=True)
    ended(sender, stop=lambda: told.append("keras"))
    found, _words = marks.receive()

    assert ["keras"] == told
    assert [("epoch_end", None), ("stopped", "keras")] == [(mark.kind, mark.by) for mark in found]


def test_one_of_several_processes_is_not_stopped_alone(sender: Any, marks: MarksSocket) -> None:
    """The others would wait for it in their next step, for ever."""
    ended(sender, stop=pytest.fail, processes=2)
    (mark,), _words = marks.receive()
    answer(mark, stop=True)
    ended(sender, stop=pytest.fail, processes=2)
    *_end, stopped = marks.receive()[0]

    assert "none: several processes train together" == stopped.by


def test_a_hook_that_is_gone_harms_no_sampler() -> None:
    """The training was killed between question and answer."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    answer(Mark(kind="epoch_end", phase=0, index=0, time_s=0.0, answer=write_end), stop=True)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(write_end)
