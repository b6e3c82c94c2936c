"""The prior's training rows, as they ship: facts and figures by setting, with source and licence, in one table.

``prior_rows.csv`` is written by ``python -m advisor.training.prior_rows DATA_FOLDER`` from the public studies
(``prior_data.py``). A row is one setting: the facts that prediction works with (``Setting``; an empty field is that
field's default), the mean of what was measured (W, s for an epoch or one step, bytes), how many runs it stands for and
what these differ by. Studies that state no licence are not in it.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any

from advisor.inventory.catalogue import load_catalogue
from advisor.prediction.board import GpuNumbers, gpu_numbers
from advisor.prediction.features import Setting
from advisor.prediction.mix import Mix
from advisor.training.fit import thin
from advisor.training.prior_data import STUDIES, read_prior
from advisor.training.runs import TrainingRun, aggregate

_TABLE = Path(__file__).with_name("prior_rows.csv")
_FIGURES = (
    "mean_power_w", "epoch_duration_s", "step_duration_s", "gpu_utilisation", "gpu_memory_bytes", "time_spread",
    "power_spread", "energy_spread",
)  # fmt: skip
_SETTING = tuple(field.name for field in fields(Setting) if field.name not in {"gpu", "mix", "unknown"})
_MIX = tuple(field.name for field in fields(Mix))
_DEFAULTS = {field.name: field.default for field in fields(Setting) if field.default is not MISSING}
# Source and licence of each study's figures, as its publisher states them.
LICENCES = {
    "delrey2024": ("GAISSA-UPC/dl-training-energy-estimation, arXiv 2307.05520", "CC-BY-4.0"),
    "gaissa": ("GAISSA-UPC/seaa2023_ect", "CC-BY-4.0"),
    "raphischer": ("raphischer/imagenet-energy-efficiency", "MIT"),
    "ecnas": ("PedramBakh/EC-NAS-Bench", "MIT"),
    "deepgreen": ("Pampaj7/DeepGreen", "MIT"),
    "ryujaehun": ("ryujaehun/pytorch-gpu-benchmark", "MIT"),
    "pepr": ("saintslab/PePR", "MIT"),
    "timm": ("huggingface/pytorch-image-models", "Apache-2.0"),
    "mayaki": ("MansMayaki/MLEnergyConsumption", "MIT"),
    "llm_foundry": ("mosaicml/llm-foundry", "Apache-2.0"),
    "flagperf": ("FlagOpen/FlagPerf", "Apache-2.0"),
    "nvidia_dle": ("NVIDIA/DeepLearningExamples", "Apache-2.0 or BSD-3-Clause, by model"),
    "transformer_layers": ("qhduan/transformers-benchmarks", "Apache-2.0"),
    "miso": ("boringlee24/socc22-miso", "MIT"),
}


@cache
def shipped_prior() -> tuple[TrainingRun, ...]:
    """The rows of the table, as runs."""
    with _TABLE.open(newline="", encoding="utf-8") as lines:
        return tuple(_run(row) for row in csv.DictReader(lines))


@cache
def _gpu(name: str) -> GpuNumbers:
    return gpu_numbers(load_catalogue().identify(name))[0]


def _run(row: dict[str, str]) -> TrainingRun:
    facts: dict[str, Any] = {name: _read(name, row[name]) for name in _SETTING}
    mix = Mix(*(float(row[name]) for name in _MIX))
    figures: dict[str, Any] = {name: float(row[name]) if row[name] else None for name in _FIGURES}
    setting = Setting(gpu=_gpu(row["gpu"]), mix=mix, **facts)
    return TrainingRun(setting=setting, runs=int(row["runs"]), **figures)


_TEXTS = {"framework", "network", "kind", "precision", "optimizer", "site", "study"}
_WHOLE = {"gpus", "nodes", "loader_workers"}


def _read(name: str, text: str) -> Any:
    if not text:
        return _DEFAULTS.get(name, "")
    if name in _TEXTS:
        return text
    if text in {"True", "False"}:
        return text == "True"
    return int(text) if name in _WHOLE else float(text)


def write_table(runs: Sequence[TrainingRun], path: Path = _TABLE) -> None:
    """Write settings to the table, those of studies that state a licence."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_SETTING, "gpu", *_MIX, *_FIGURES, "runs", "source", "licence"])
        for run in runs:
            if run.setting.study in LICENCES:
                writer.writerow(_row(run))


def _row(run: TrainingRun) -> list[str]:
    s = run.setting
    facts = ["" if getattr(s, n) == _DEFAULTS.get(n, MISSING) else _text(getattr(s, n)) for n in _SETTING]
    mix = [_text(getattr(s.mix, name)) for name in _MIX]
    figures = [_text(value) if (value := getattr(run, name)) is not None else "" for name in _FIGURES]
    return [*facts, s.gpu.name, *mix, *figures, str(run.runs), *LICENCES[s.study]]


def _text(value: object) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Write the table from the folder of the studies' files."""
    parser = argparse.ArgumentParser(description="Write the prior's training rows from the public studies.")
    parser.add_argument("data_dir", type=Path, nargs="?", default=Path("../shared/data"))
    write_table(thin(aggregate(read_prior(parser.parse_args().data_dir, tuple(STUDIES))), seed=0))


if __name__ == "__main__":
    main()
