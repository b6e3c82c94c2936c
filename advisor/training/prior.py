"""Makes the prior that ships, from the rows that ship: ``python -m advisor.training.prior [MODELS_FOLDER]``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from advisor.prediction.model import to_bytes
from advisor.prediction.prediction import ModelIdentity
from advisor.registry import write_model
from advisor.training.card import card_of, card_text
from advisor.training.evaluation import Scores, judge, pooled
from advisor.training.fit import fit
from advisor.training.methods import method_files
from advisor.training.prior_rows import shipped_prior
from advisor.training.runs import TrainingRun

NAME = "prior"
VERSION = "3"
_STUDIES = ("raphischer", "ecnas", "deepgreen", "mayaki", "miso", "llm_foundry", "nvidia_dle", "flagperf")


def make_prior(models_dir: Path, version: str = VERSION) -> Path:
    """Fit the prior to the rows that ship and write it, with its card, to ``models_dir/prior``."""
    runs = shipped_prior()
    trained_on = sum(run.runs for run in runs)
    identity = ModelIdentity(name=NAME, version=version, trained_on_runs=trained_on, promoted_at="")
    evaluation = withheld_scores(runs, identity)
    model = fit(runs, identity)
    card = card_of(model, runs, evaluation)
    folder = models_dir / NAME
    write_model(
        folder, name=NAME, version=version, arrays=to_bytes(model), card=card, card_text=card_text(card),
        trained_on_runs=trained_on, extras=method_files(runs), replace=True,
    )  # fmt: skip
    return folder


def withheld_scores(runs: Sequence[TrainingRun], identity: ModelIdentity) -> dict[str, Scores]:
    """Figures of models fitted without a whole GPU, network or study, on what was withheld."""
    scores: dict[str, Scores] = {}
    in_delrey = [run for run in runs if run.setting.study == "delrey2024"]
    splits: tuple[tuple[str, Callable[[TrainingRun], str]], ...] = (
        ("one GPU (delrey2024)", lambda run: run.setting.gpu.name),
        ("one network (delrey2024)", lambda run: run.setting.network),
    )
    for name, group in splits:
        parts = []
        for withheld in sorted({group(run) for run in in_delrey}):
            model = fit([run for run in runs if group(run) != withheld], identity)
            parts.append(judge(model, [run for run in in_delrey if group(run) == withheld]))
        if parts:
            scores[name] = pooled(parts)
    for study in _STUDIES:
        mine = [run for run in runs if run.setting.study == study]
        if mine:
            model = fit([run for run in runs if run.setting.study != study], identity)
            scores[f"study {study}"] = pooled([judge(model, mine)])
    return scores


def main() -> None:
    """Read the folders from the command line and make the prior."""
    parser = argparse.ArgumentParser(description="Fit the prior model that ships with gsbatch.")
    parser.add_argument("models_dir", type=Path, nargs="?", default=Path("models"))
    arguments = parser.parse_args()
    make_prior(arguments.models_dir)


if __name__ == "__main__":
    main()
