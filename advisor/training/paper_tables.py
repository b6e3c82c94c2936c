"""Rebuilds tables 8 and 9 of arXiv 2307.05520: ``python -m advisor.training.paper_tables DATA_FOLDER [--draws N]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from advisor.training.paper import DRAWS, out_of_fold, scores_of, table
from advisor.training.paper_runs import EPOCHS_FILE, offline_scores, online_scores, runs_table
from advisor.training.prior_data import read_prior


def tables(data_dir: Path, draws: int = DRAWS) -> str:
    """Both tables as Markdown: the regressors' cross-validation, and the estimators of whole runs."""
    runs = read_prior(data_dir, ("delrey",))
    predictions = out_of_fold(runs, draws=draws)
    of_runs = offline_scores(runs, predictions)
    if (data_dir / EPOCHS_FILE).is_file():
        of_runs += online_scores(data_dir)
    return f"{table(scores_of(runs, predictions))}\n\n{runs_table(of_runs)}"


def main() -> None:
    """Print the tables for the folder given on the command line."""
    parser = argparse.ArgumentParser(description="Rebuild the paper's tables 8 and 9.")
    parser.add_argument("data_dir", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument(
        "--draws", type=int, default=DRAWS, help="draws of the random search (the paper's: %(default)s)"
    )
    arguments = parser.parse_args()
    print(tables(arguments.data_dir, arguments.draws))  # noqa: T201 (a program of its own)


if __name__ == "__main__":
    main()
