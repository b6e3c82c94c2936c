"""A ticket is written whole, read back equal, and refused when it is anything else."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.errors import TelemetryError
from advisor.inspection.workload import Contender, Fact, Source, Workload
from advisor.submission.ticket import (
    TICKET_SCHEMA_VERSION,
    Ticket,
    find_ticket,
    read_ticket,
    ticket_from_json,
    ticket_name,
    ticket_to_json,
    write_ticket,
)
from tests.recommendation.examples import MODEL, placement, prediction
from tests.two_users import ATTACKER, VICTIM, as_user, commons, needs_root

__all__ = ["commons"]

TICKET = Ticket(
    schema=TICKET_SCHEMA_VERSION,
    ticket_id="t-1",
    cluster="mini",
    job_id="42",
    submitted_at="2026-11-21T07:00:00+00:00",
    user="alice",
    script_path="/home/alice/train.py",
    script_sha256="0" * 64,
    arguments=("--epochs", "5"),
    workload=Workload(
        framework=Fact("keras", Source.PROBE),
        epochs=Fact(5, Source.OPTION, (Contender(3, Source.PROBE),)),
        forward_flops_per_sample=Fact(2.5e9, Source.PROBE),
        input_shape=Fact((224, 224, 3), Source.SOURCE_CODE, (Contender((28, 28), Source.HISTORY),)),
        notes=("two fits",),
    ),
    prediction=dataclasses.replace(prediction(placement()), energy_j=None),
    model=MODEL,
    objective="energy",
    followed=True,
)


def test_a_ticket_comes_back_equal(tmp_path: Path) -> None:
    """Tuples, missing estimates, provenance: nothing is lost on disk."""
    write_ticket(TICKET, tmp_path / "new" / "spool")

    assert TICKET == find_ticket(tmp_path / "new" / "spool", "mini", "42")


def test_a_ticket_without_a_prediction_comes_back_too(tmp_path: Path) -> None:
    """A job whose placement is not known is still remembered."""
    bare = dataclasses.replace(TICKET, prediction=None, model=None)

    assert bare == read_ticket(write_ticket(bare, tmp_path))


def test_tickets_are_the_owners_alone(tmp_path: Path) -> None:
    """Script paths and arguments are private; the folder that we make is too, an existing one stays as it is."""
    path = write_ticket(TICKET, tmp_path / "spool")

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    assert [ticket_name("mini", "42")] == [found.name for found in path.parent.iterdir()]


def test_a_ticket_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """In a folder that all may write to, its name may be taken by what cannot be replaced."""
    taken = tmp_path / ticket_name("mini", "42")
    taken.mkdir()
    with pytest.raises(TelemetryError, match="cannot be written"):
        write_ticket(TICKET, tmp_path)

    assert [taken] == list(tmp_path.iterdir())


def test_a_job_without_a_ticket_has_none(tmp_path: Path) -> None:
    """Jobs submitted by plain sbatch are no error."""
    assert find_ticket(tmp_path, "mini", "43") is None


def _changed(**changes: object) -> str:
    return json.dumps({**json.loads(ticket_to_json(TICKET)), **changes})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[]", "schema"),
        (_changed(schema=TICKET_SCHEMA_VERSION + 1), "schema 2"),
        (_changed(job_id=42), "ticket.job_id is 42"),
        (_changed(followed="yes"), "ticket.followed"),
        (_changed(arguments="x"), "ticket.arguments is no array"),
        (_changed(workload={"epochs": {"value": "5", "source": "option"}}), "ticket.workload.epochs.value"),
        (_changed(workload={"epochs": {"value": 5, "source": "gossip"}}), "'gossip'"),
        (_changed(workload={"epochs": {"value": None, "source": "option"}}), "a fact needs both"),
        (_changed(prediction={}), "ticket.prediction.placement is missing"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_ticket_is_refused_with_its_place(text: str, said: str) -> None:
    """Spool files lie where users write."""
    with pytest.raises(TelemetryError) as caught:
        ticket_from_json(text)

    assert said in str(caught.value)


def test_fields_of_a_newer_program_are_passed_over() -> None:
    """The same schema may gain fields."""
    assert TICKET == ticket_from_json(_changed(colour="green"))


def test_a_spool_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Whoever submits decides that the job matters more."""
    (tmp_path / "file").touch()

    with pytest.raises(TelemetryError, match="cannot be written"):
        write_ticket(TICKET, tmp_path / "file" / "spool")


SUBMIT = """
import dataclasses, sys
from pathlib import Path
from advisor.errors import TelemetryError
from advisor.submission.ticket import ticket_from_json, write_ticket
try:
    write_ticket(ticket_from_json(Path(sys.argv[2]).read_text()), Path(sys.argv[1]))
except TelemetryError as exc:
    sys.exit(f"{exc} | {exc.hint}")
"""
SQUAT = """
import os, sys, threading, time
spool, target = sys.argv[1:]
os.mkdir(spool)
os.chmod(spool, 0o777)
until = time.monotonic() + 3.0
print("ready", flush=True)
while time.monotonic() < until:
    for name in os.listdir(spool):
        try:
            os.rename(f"{spool}/{name}", f"{spool}/../gone-{time.monotonic_ns()}")
            os.symlink(target, f"{spool}/{name}")
        except OSError:
            continue
"""


@needs_root
@pytest.mark.parametrize("victim", [VICTIM, 0])
def test_a_ticket_is_written_to_no_folder_of_another_user(commons: Path, victim: int) -> None:
    """Whoever makes the folder first and swaps what is written in it has no file of the victim's overwritten."""
    precious = commons / "precious"
    precious.mkdir()
    (precious / "ticket").write_text("kept", encoding="utf-8")
    os.chown(precious, victim, victim)
    os.chown(precious / "ticket", victim, victim)
    text = commons / "ticket.json"
    text.write_text(ticket_to_json(TICKET), encoding="utf-8")
    attacker = subprocess.Popen(
        [sys.executable, "-c", SQUAT, commons / "victim", precious], user=ATTACKER, group=ATTACKER,
        extra_groups=[], stdout=subprocess.PIPE,
    )  # fmt: skip
    with attacker:
        assert attacker.stdout is not None
        attacker.stdout.readline()
        done = [as_user(victim, SUBMIT, commons / "victim", text) for _ in range(3)]

    assert [1, 1, 1] == [one.returncode for one in done]
    assert f"belongs to uid {ATTACKER}" in done[0].stderr
    assert [("ticket", "kept")] == [(path.name, path.read_text()) for path in precious.iterdir()]
