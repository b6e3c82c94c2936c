"""What each method says of the first placements, for a person, on stderr."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from advisor.cli.screens.printable import printable
from advisor.prediction.prediction import Prediction
from advisor.units import human_energy, human_power

_PLACEMENTS = 4


def print_methods(predictions: Sequence[Prediction], *, file: TextIO) -> None:
    """One line for each method, one column for each of the first placements; RAM variants are left out.

    Energies are of the run, or of an epoch where the number of epochs is unknown; power stands where a method says it.
    """
    shown = _without_variants(predictions)[:_PLACEMENTS]
    if not shown:
        return
    whole_run = all(found.energy_j is not None for found in shown)
    what = "the run's" if whole_run else "an epoch's"
    rows = [["", *(_place(number, found) for number, found in enumerate(shown, 1))]]
    rows.append(["ours", *(_own(found, whole_run=whole_run) for found in shown)])
    rows += [
        [said.method, *(_said(found, number, whole_run=whole_run) for found in shown)]
        for number, said in enumerate(shown[0].methods)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    file.write(f"what other methods say of {what} energy and mean power (all of them with our duration):\n")
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        file.write(printable(f"  {line.rstrip()}") + "\n")
    if not any(said.method.startswith("offline") for said in shown[0].methods):
        file.write("  the paper's regressors are not stored with this model; gsadmin retrain fits them\n")


def _without_variants(predictions: Sequence[Prediction]) -> list[Prediction]:
    first: dict[tuple[object, ...], Prediction] = {}
    for found in predictions:
        place = found.placement
        first.setdefault((place.partition, place.gres_type, place.gpu.name, place.gpus, place.nodes), found)
    return list(first.values())


def _place(number: int, found: Prediction) -> str:
    gpus = f"{found.placement.gpus} x " if found.placement.gpus > 1 else ""
    return f"{number} {found.placement.partition}, {gpus}{found.placement.gpu.name}"


def _own(found: Prediction, *, whole_run: bool) -> str:
    energy = found.energy_j if whole_run and found.energy_j else found.epoch_energy_j
    return _cell(energy.value, found.mean_power_w.value)


def _said(found: Prediction, number: int, *, whole_run: bool) -> str:
    said = found.methods[number]
    return _cell(said.energy_j if whole_run else said.epoch_energy_j, said.mean_power_w)


def _cell(energy_j: float | None, power_w: float | None) -> str:
    energy = "?" if energy_j is None else human_energy(energy_j) if energy_j > 0 else "below zero"
    return energy if power_w is None else f"{energy}, {human_power(power_w) if power_w > 0 else 'below zero'}"
