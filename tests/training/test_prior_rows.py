"""The table of the prior's rows that ships."""

from __future__ import annotations

import csv
from pathlib import Path

from advisor.training import prior_rows
from advisor.training.fit import thin
from advisor.training.prior_data import read_prior
from advisor.training.prior_rows import LICENCES, shipped_prior, write_table
from advisor.training.runs import aggregate, usable
from tests.training.prior import PRIOR_DATA, needs_prior_data

TABLE = Path(prior_rows.__file__).with_name("prior_rows.csv")


def test_every_row_is_usable_and_says_where_it_is_from() -> None:
    """A site refits on these rows; whoever passes them on must know their licence."""
    assert all(usable(run) for run in shipped_prior())
    with TABLE.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            assert LICENCES[row["study"]] == (row["source"], row["licence"])


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Writing what was read gives the same file."""
    write_table(shipped_prior(), tmp_path / "again.csv")

    assert TABLE.read_text(encoding="utf-8") == (tmp_path / "again.csv").read_text(encoding="utf-8")


@needs_prior_data
def test_the_table_is_what_its_program_writes(tmp_path: Path) -> None:
    """A change of a reader or of a network's facts must be followed by writing the table again."""
    write_table(thin(aggregate(read_prior(PRIOR_DATA)), seed=0), tmp_path / "again.csv")

    assert TABLE.read_text(encoding="utf-8") == (tmp_path / "again.csv").read_text(encoding="utf-8")
