"""Sizes of data sets that are not known: the facts that depend on them stay unknown."""

from typing import List

from .ledger import Ledger


class MadeUpClasses(List[str]):
    """A made-up number of class names.

    A script that asks how many there are makes its network's last layer of that size, so the number of parameters then
    stays unknown.
    """

    def __init__(self, ledger: Ledger, number: int) -> None:
        super().__init__(str(place) for place in range(number))
        self._ledger = ledger

    def __len__(self) -> int:
        doubt_number_of_classes(self._ledger)
        return super().__len__()


def doubt_number_of_classes(ledger: Ledger) -> None:
    """The network depends on a made-up number of classes: its size stays unknown."""
    ledger.withhold("parameters", "trainable_parameters")


def doubt_number_of_samples(ledger: Ledger) -> None:
    """How many samples there are is made up: how long the training is stays unknown."""
    ledger.withhold("train_samples", "validation_samples", "steps", "seen_samples")
