"""How far off projections are while a training runs: ``python -m tests.bench.projection --data FOLDER``.

Recorded series are the epochs of ``deepgreen_l40s_pytorch.csv`` in FOLDER (six trainings of 30 epochs on an L40S).
Generated ones add what those lack, a warm-up drift: power starts up to 12% off its level and approaches it with a time
constant of 1 to 8 epochs, the first epoch takes 5 to 60% longer, epochs scatter by 0.3 to 3% and keep half of a
deviation, and one in twenty takes 20% longer (a checkpoint). The offline prediction is right but for a factor with a
standard deviation of 0.35 in its logarithm, and its interval says so.

Figures are root mean squares over the series of (projected - true) / true total energy.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from advisor.prediction.prediction import Estimate
from advisor.telemetry.projection import STABLE_AT_LAST, WINDOW, Expectation, Projector
from advisor.telemetry.trace import Epoch, Projection

Series = Sequence[tuple[float, float]]  # energy J, duration s, of each epoch
AT_EPOCHS = (1, 3, 5, 10, 15)
PRIOR_ERROR = 0.35


def recorded(folder: Path) -> list[Series]:
    """The series of the public data set."""
    found: dict[tuple[str, str], list[tuple[int, float, float]]] = defaultdict(list)
    with (folder / "deepgreen_l40s_pytorch.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            epoch = int(row["epoch_index"]), float(row["energy_j"]), float(row["duration_s"])
            found[row["network"], row["dataset"]].append(epoch)
    return [[(energy_j, duration_s) for _index, energy_j, duration_s in sorted(rows)] for rows in found.values()]


def generated(random_: random.Random) -> Series:
    """One training with a warm-up drift; see above."""
    power_w, duration_s = random_.uniform(80, 350), random_.uniform(10, 300)
    drift, epochs_to_settle = random_.uniform(-0.12, 0.12), random_.uniform(1, 8)
    scatter = random_.choice([0.003, 0.01, 0.03])
    first = random_.uniform(1.05, 1.6)
    deviation = 0.0
    epochs = []
    for index in range(random_.choice([20, 30, 50, 100])):
        deviation = 0.5 * deviation + random_.gauss(0, scatter)
        took_s = duration_s * math.exp(deviation) * (first if index == 0 else 1.2 if random_.random() < 0.05 else 1.0)
        drew_w = power_w * (1 + drift * math.exp(-index / epochs_to_settle)) * math.exp(random_.gauss(0, scatter / 2))
        epochs.append((drew_w * took_s, took_s))
    return epochs


def expectation(series: Series, random_: random.Random) -> Expectation:
    """An offline prediction of an epoch, wrong by a random factor."""

    def wrong(mean: float) -> Estimate:
        value = mean * math.exp(random_.gauss(0, PRIOR_ERROR))
        factor = math.exp(1.645 * PRIOR_ERROR)
        return Estimate(value, value / factor, value * factor)

    energy_j, duration_s = (statistics.fmean(values) for values in zip(*series, strict=True))
    return Expectation(epoch_energy_j=wrong(energy_j), epoch_duration_s=wrong(duration_s), epochs=len(series))


def papers(series: Series, done: int) -> tuple[float, float]:
    """Mean power x duration, and epoch energy: five epochs from the tenth on; before, all but the first."""
    first = STABLE_AT_LAST if done > STABLE_AT_LAST + 1 else 1
    window = series[max(first, done - WINDOW) : done] or series[:1]
    window_j, window_s = (sum(values) for values in zip(*window, strict=True))
    spent_j, spent_s = (sum(values) for values in zip(*series[:done], strict=True))
    to_come = (len(series) - done) / len(window)
    return window_j / window_s * (spent_s + to_come * window_s), spent_j + to_come * window_j


def ours(series: Series, done: int, expected: Expectation | None) -> Projection:
    """What the recorder would show after ``done`` epochs."""
    projector, now_s, shown = Projector(expected), 0.0, ()  # type: Projector, float, tuple[Projection, ...]
    for index, (energy_j, duration_s) in enumerate(series[:done]):
        epoch = Epoch(
            phase=0, index=index, started_at=now_s, ended_at=now_s + duration_s,
            steps=None, samples=None, gpu_energy_j=energy_j,
        )  # fmt: skip
        now_s += duration_s
        shown = projector.add(epoch, len(series))
    return shown[-1]


def table(name: str, many: Sequence[Series], expected: Sequence[Expectation]) -> None:
    """One table: a row for each number of epochs done."""
    print(f"\n{name}: {len(many)} trainings\n")
    print("| after epoch | paper, power | paper, epoch energy | ours | ours, predicted | stable | in interval |")
    print("|---|---|---|---|---|---|---|")
    for done in AT_EPOCHS:
        shown = [ours(series, done, guess) for series, guess in zip(many, expected, strict=True)]
        truth = [sum(energy_j for energy_j, _s in series) for series in many]
        columns = [
            [papers(series, done)[0] for series in many],
            [papers(series, done)[1] for series in many],
            [ours(series, done, None).energy_j for series in many],
            [projection.energy_j for projection in shown],
        ]
        errors = [f"{_rms(column, truth):.1%}" for column in columns]
        stable = sum(projection.stable_from is not None for projection in shown) / len(many)
        held = sum(p.energy_low_j <= true <= p.energy_high_j for p, true in zip(shown, truth, strict=True)) / len(many)
        print("|", " | ".join([str(done), *errors, f"{stable:.0%}", f"{held:.0%}"]), "|")


def _rms(values: Sequence[float], truth: Sequence[float]) -> float:
    squares: Callable[[float, float], float] = lambda value, true: ((value - true) / true) ** 2  # noqa: E731
    return math.sqrt(statistics.fmean(map(squares, values, truth)))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with deepgreen_l40s_pytorch.csv")
    parser.add_argument("--runs", type=int, default=400, help="generated trainings (default 400)")
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    random_ = random.Random(options.seed)  # noqa: S311 (a simulation, not a secret)
    if options.data is None:
        print("no --data: generated trainings only", file=sys.stderr)
    else:
        series = recorded(options.data)
        table("recorded", series, [expectation(one, random_) for one in series])
    many = [generated(random_) for _ in range(options.runs)]
    table("generated", many, [expectation(one, random_) for one in many])


if __name__ == "__main__":
    main()
