"""Which passes over data count as epochs, told without any framework."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

INJECTED = Path(__file__).parents[3] / "advisor" / "injected"


class Batch:
    """An array as far as its shape goes."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape


class Recorded:
    """Stands where the sender of marks stands, and keeps them."""

    def __init__(self) -> None:
        self.ends: list[dict[str, Any]] = []
        self.framework_trains = 0
        self.framework_epoch_open = False
        self.framework_epoch: tuple[int, int] | None = None
        self._phases = 0
        self._passes = 0

    def new_phase(self) -> int:
        """The next phase's number."""
        self._phases += 1
        return self._phases - 1

    def new_pass(self) -> int:
        """The next pass's number."""
        self._passes += 1
        return self._passes

    def send(self, kind: str, phase: int, index: int, **facts: Any) -> None:
        """Keep the end marks."""
        if kind == "epoch_end":
            self.ends.append({"phase": phase, "index": index, **facts})

    def end_epoch(self, phase: int, index: int, _way: object, _begun_at: float, **facts: Any) -> None:
        """Keep the end of a training pass."""
        self.send("epoch_end", phase, index, **facts)

    def epochs(self) -> list[tuple[int, int, Any, Any, bool]]:
        """What was marked: phase, index, steps, samples, validation."""
        return [(e["phase"], e["index"], e["steps"], e["samples"], e["validation"]) for e in self.ends]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The bookkeeping, imported by path as the user's interpreter imports it."""
    monkeypatch.syspath_prepend(str(INJECTED))
    from gsbatch_inside.epochs.passes import Passes  # noqa: PLC0415

    yield Passes(Recorded())
    for name in [name for name in sys.modules if name.startswith("gsbatch_inside")]:
        del sys.modules[name]


def read_all(passes: Any, batches: int, *, optimizer: object = None, size: int = 4) -> None:
    """One pass from begin to end, trained where an optimizer is given."""
    one = passes.begin()
    for _ in range(batches):
        passes.read(one, (Batch(size, 3), Batch(size)))
        if optimizer is not None:
            passes.backward()
            passes.step(optimizer)
    passes.end(one)


def test_training_and_validation_are_told_apart_by_gradients(passes: Any) -> None:
    """A pass without gradients after an epoch is that epoch's validation; before any training it is nobody's."""
    read_all(passes, 2)
    for _ in range(2):
        read_all(passes, 5, optimizer="sgd")
        read_all(passes, 3)

    assert [
        (0, 0, 5, 20, False), (0, 0, None, 12, True), (0, 1, 5, 20, False), (0, 1, None, 12, True),
    ] == passes._sender.epochs()  # fmt: skip


def test_another_optimizer_begins_a_phase(passes: Any) -> None:
    """Fine-tuning and the next fold of a cross-validation count their epochs anew."""
    for optimizer in ("head", "head", "whole"):
        read_all(passes, 1, optimizer=optimizer)

    assert [(0, 0), (0, 1), (1, 0)] == [(phase, index) for phase, index, *_ in passes._sender.epochs()]


def test_validation_inside_an_epoch_is_part_of_it(passes: Any) -> None:
    """Evaluation every so many steps has no record of its own: its energy would count twice."""
    training = passes.begin()
    passes.read(training, Batch(4))
    passes.backward()
    read_all(passes, 3)
    passes.end(training)

    assert [(0, 0, 0, 4, False)] == passes._sender.epochs()


def test_loaders_read_in_step_are_one_epoch(passes: Any) -> None:
    """``zip(labelled, unlabelled)`` reads two loaders for one epoch, whichever of them ends first."""
    first, second = passes.begin(), passes.begin()
    for _ in range(3):
        passes.read(first, Batch(4))
        passes.read(second, Batch(8))
        passes.backward()
        passes.step("sgd")
    passes.end(first)
    passes.end(second)

    assert [(0, 0, 3, 12, False)] == passes._sender.epochs()


def test_pass_shorter_than_the_accumulation_is_training(passes: Any) -> None:
    """Gradients tell, not steps: an accumulation longer than the pass steps in a later one."""
    one = passes.begin()
    passes.read(one, Batch(4))
    passes.backward()
    passes.end(one)

    assert [(0, 0, 0, 4, False)] == passes._sender.epochs()


def test_frameworks_mark_their_own_epochs(passes: Any) -> None:
    """While Keras or a Trainer trains, passes mark only the evaluation between its epochs."""
    sender = passes._sender
    sender.framework_trains, sender.framework_epoch_open, sender.framework_epoch = 1, True, (0, 0)
    read_all(passes, 2, optimizer="sgd")
    read_all(passes, 2)
    sender.framework_epoch_open = False
    read_all(passes, 2)

    assert [(0, 0, None, 8, True)] == sender.epochs()


def test_only_the_first_process_marks_and_counts_for_all(passes: Any) -> None:
    """In a distributed training each process reads its share of the samples."""
    passes._world = lambda: (0, 2)
    read_all(passes, 5, optimizer="sgd")
    passes._world = lambda: (1, 2)
    read_all(passes, 5, optimizer="sgd")

    assert [(0, 0, 5, 40, False)] == passes._sender.epochs()


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        (Batch(7, 3), 7),
        ({"ids": Batch(5, 9), "labels": Batch(5)}, 5),
        ([["a", "b"], Batch(2)], 2),
        ((Batch(), None), None),
        (object(), None),
        ([], None),
    ],
)
def test_samples_of_a_batch(passes: Any, batch: object, size: int | None) -> None:
    """Counted by shapes; what cannot be counted is None, never a guess."""
    from gsbatch_inside.epochs.passes import samples_of  # noqa: PLC0415

    assert size == samples_of(batch)
