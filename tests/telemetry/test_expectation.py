"""What a recorder holds its first epochs against: the prediction of this job's own ticket."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.submission.ticket import ticket_name, write_ticket
from advisor.telemetry.expectation import read_expectation
from tests.corpus.measured import HEADER, PREDICTION, made_ticket

OWN = replace(HEADER, ticket_id=made_ticket().ticket_id)


def test_the_tickets_prediction_is_for_an_epoch_on_this_node(tmp_path: Path) -> None:
    """The placement's energy is of all its nodes; a node sees its own share, and every node the whole time."""
    write_ticket(made_ticket(), tmp_path)
    found = read_expectation(tmp_path, replace(OWN, nodes=2))

    assert found is not None
    assert pytest.approx(PREDICTION.epoch_energy_j.value / 2) == found.epoch_energy_j.value
    assert PREDICTION.epoch_duration_s == found.epoch_duration_s
    assert 5 == found.epochs


def test_a_task_of_an_array_has_its_arrays_ticket(tmp_path: Path) -> None:
    """One ticket serves all tasks."""
    write_ticket(made_ticket(), tmp_path)
    task = replace(OWN, job_id="999", array_job_id=OWN.job_id, array_task="3")

    assert read_expectation(tmp_path, task) is not None


@pytest.mark.parametrize("trap", ["fifo", "link", "giant", "another's"])
def test_what_another_laid_in_the_spool_is_no_trap(tmp_path: Path, trap: str) -> None:
    """Job ids can be foreseen: a ticket that is a FIFO, a device or endless neither stops nor fills the sampler."""
    path = tmp_path / ticket_name(OWN.cluster, OWN.job_id)
    if trap == "fifo":
        os.mkfifo(path)
    elif trap == "link":
        path.symlink_to("/dev/zero")
    elif trap == "giant":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif os.geteuid() == 0:
        write_ticket(made_ticket(), tmp_path)
        os.chown(path, 65534, 65534)

    assert read_expectation(tmp_path, OWN) is None


def test_without_a_ticket_of_its_own_nothing_is_expected(tmp_path: Path) -> None:
    """None there, another submission's, damaged, or one without prediction: a projection does without."""
    assert read_expectation(tmp_path / "missing", OWN) is None
    write_ticket(replace(made_ticket(), ticket_id="another"), tmp_path)
    assert read_expectation(tmp_path, OWN) is None
    write_ticket(replace(made_ticket(), prediction=None), tmp_path)
    assert read_expectation(tmp_path, OWN) is None
    (tmp_path / ticket_name(OWN.cluster, OWN.job_id)).write_text("{", encoding="utf-8")
    assert read_expectation(tmp_path, OWN) is None
