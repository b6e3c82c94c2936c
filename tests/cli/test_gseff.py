"""gseff tells of a job whatever is known of it: while it runs, after it, and after its trace was ingested."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.cli.gsadmin import main as gsadmin
from advisor.cli.gseff import main as gseff
from advisor.submission.ticket import ticket_name, ticket_to_json
from advisor.telemetry.trace import Projection
from tests.cli.site import Site, make_site
from tests.corpus.measured import HEADER, JOB, START_S, USER, made_ticket, made_trace, spooled


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A site with an empty spool folder and no corpus."""
    site = make_site(tmp_path, monkeypatch, capsys)
    site.spool.mkdir()
    return site


def with_ticket(site: Site) -> None:
    """Write job 7's ticket."""
    (site.spool / ticket_name("mini", "7")).write_text(ticket_to_json(made_ticket()))


def test_finished_job_from_spool_then_from_corpus(site: Site) -> None:
    """The same report comes from the spool before ingest and from the corpus after, when the trace is gone."""
    spooled(site.spool, made_trace())
    with_ticket(site)
    site.accounting_says(JOB)
    before = site.run(gseff, "7")
    site.run(gsadmin, "ingest")
    for path in site.spool.iterdir():
        path.unlink()
    after = site.run(gseff, "7")

    assert (0, "") == (before.status, before.stderr)
    assert f"Job 7, {USER}, resnet50: COMPLETED on ampere, 1 x NVIDIA A100-SXM4-80GB" in before.stdout
    assert "energy from: the GPUs' energy counters" in before.stdout
    assert before == after


def test_corpus_alone_speaks_where_slurm_does_not(site: Site) -> None:
    """With slurmdbd down, what was ingested is still told, with a remark on stderr."""
    spooled(site.spool, made_trace())
    site.accounting_says(JOB)
    site.run(gsadmin, "ingest")
    site.program("sacct", "echo 'slurmdbd is down' >&2; exit 1")
    outcome = site.run(gseff, "7")

    assert 0 == outcome.status
    assert "COMPLETED" in outcome.stdout
    assert "slurmdbd is down" in outcome.stderr
    assert "not believed" not in outcome.stderr


def test_running_job_shows_a_projection(site: Site) -> None:
    """While the job runs, the recorder's last projection is shown, and totals are not held against the prediction."""
    projection = Projection(
        time_s=START_S + 20,
        method="stable",
        energy_j=9000.0,
        energy_low_j=8500.0,
        energy_high_j=9500.0,
        duration_s=49.0,
    )
    trace = replace(made_trace(epochs=2, exit_status=None), projections=(projection,))
    spooled(site.spool, trace)
    with_ticket(site)
    site.accounting_says(replace(JOB, state="RUNNING", ended_at=None))
    outcome = site.run(gseff, "7")

    assert "projected: 9 kJ (8.5 kJ to 9.5 kJ)" in outcome.stdout
    assert "so far; the job is RUNNING" in outcome.stdout
    assert "epochs: 2 measured of 5 planned" in outcome.stdout


def test_waiting_job_shows_what_was_predicted(site: Site) -> None:
    """A job that has not started has a prediction and a state, and nothing measured."""
    with_ticket(site)
    site.accounting_says(
        replace(JOB, state="PENDING", started_at=None, ended_at=None, max_rss_bytes=None, elapsed_s=0.0)
    )
    (found,) = json.loads(site.run(gseff, "7", "--json").stdout)

    assert ("PENDING", None, 10_000.0) == (
        found["state"],
        found["comparisons"]["energy_j"]["measured"],
        found["comparisons"]["energy_j"]["predicted"]["value"],
    )


def test_job_without_record_shows_accounting(site: Site) -> None:
    """A plain sbatch job is told of from accounting alone."""
    site.accounting_says(JOB)
    outcome = site.run(gseff, "7")

    assert 0 == outcome.status
    assert "no prediction" in outcome.stdout
    assert "energy from: not measured" in outcome.stdout


@pytest.mark.parametrize("word", ["7", "7.batch", "7.0", "7.extern"])
def test_steps_stand_for_their_job(site: Site, word: str) -> None:
    """A step's id, as sacct lists them, means its job."""
    spooled(site.spool, made_trace())
    site.accounting_says(JOB)

    assert "Job 7," in site.run(gseff, word).stdout


def test_array_shows_each_task(site: Site) -> None:
    """An array's id stands for all its tasks, each with its own raw id in accounting."""
    for task, raw in (("1", "13"), ("2", "14")):
        spooled(site.spool, made_trace(replace(HEADER, job_id=raw, array_job_id="5", array_task=task)))
    site.accounting_says(replace(JOB, job_id="13", shown_id="5_1"), replace(JOB, job_id="14", shown_id="5_2"))
    found = json.loads(site.run(gseff, "5", "--json").stdout)

    assert [("5_1", "13", 5), ("5_2", "14", 5)] == [
        (item["job_id"], item["raw_job_id"], item["epochs"]["measured"]) for item in found
    ]


def test_local_run_asks_no_slurm(site: Site) -> None:
    """A run of gsbatch --local is told of without any Slurm."""
    now_s = time.time()
    spooled(site.spool, made_trace(replace(HEADER, job_id="local-x1", cluster="local", started_at=now_s - 60)))
    site.program("sacct", "exit 1")
    outcome = site.run(gseff, "local-x1")

    assert (0, "") == (outcome.status, outcome.stderr)
    assert "Job local-x1" in outcome.stdout


def test_slurm_is_asked_once(site: Site) -> None:
    """One sacct query a call, whatever is found."""
    spooled(site.spool, made_trace())
    site.accounting_says(JOB)
    site.run(gseff, "7", "--json")

    assert 1 == site.sacct_calls()


def test_last_is_the_newest_ticket_of_the_user(site: Site) -> None:
    """--last is the job whose ticket this user wrote last."""
    for job_id, age_s in (("7", 0), ("6", 100)):
        path = site.spool / ticket_name("mini", job_id)
        path.write_text(ticket_to_json(replace(made_ticket(), job_id=job_id)))
        os.utime(path, (time.time() - age_s,) * 2)
    spooled(site.spool, made_trace())
    site.accounting_says(JOB)

    assert "Job 7," in site.run(gseff, "--last").stdout


def test_user_narrows_what_is_shown(site: Site) -> None:
    """With --user, jobs of others count as not found."""
    spooled(site.spool, made_trace())
    site.accounting_says(JOB)

    assert 0 == site.run(gseff, "7", "--user", USER).status
    outcome = site.run(gseff, "7", "--user", "somebody")
    assert 9 == outcome.status
    assert "Nothing is known of job 7 of user somebody" in outcome.stderr


def test_others_trace_is_not_believed(site: Site) -> None:
    """A trace in the shared spool counts only if its owner is the job's user; otherwise accounting speaks alone."""
    spooled(site.spool, made_trace())
    site.accounting_says(replace(JOB, uid=os.getuid() + 1, user="bob"))
    outcome = site.run(gseff, "7")

    assert "energy from: not measured" in outcome.stdout
    assert "is not believed: job 7 belongs to bob" in outcome.stderr


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "No JOBID was given"),
        (("seven",), 2, "'seven' is not a job id"),
        (("7", "--last"), 2, "Both --last and a JOBID"),
        (("--last",), 9, "You have no ticket"),
        (("--last", "--user", "no-such-user"), 2, "There is no user"),
        (("99",), 9, "Nothing is known of job 99"),
        (("local-none",), 9, "Nothing is known of job local-none"),
        (("7", "--nonsense"), 2, "No such option"),
    ],
)
def test_mistakes_have_one_message_and_a_status(site: Site, words: tuple[str, ...], status: int, message: str) -> None:
    """Each mistake ends with its documented status, one message on stderr and nothing on stdout."""
    site.accounting_says()
    outcome = site.run(gseff, *words)

    assert (status, "") == (outcome.status, outcome.stdout)
    assert message in outcome.stderr


def test_unknown_job_names_the_next_step(site: Site) -> None:
    """Who asks for a job that is not known is told where to look."""
    site.accounting_says()

    assert "sacct -X" in site.run(gseff, "99").stderr


def test_rates_of_the_site_are_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Carbon and cost appear when the site's settings hold rates."""
    spooled(site.spool, made_trace())
    site.accounting_says(JOB)
    monkeypatch.setenv("GSBATCH_CARBON_INTENSITY_G_PER_KWH", "360")
    monkeypatch.setenv("GSBATCH_PRICE_PER_KWH", "3.6")
    text = site.run(gseff, "7").stdout

    assert "carbon: 1 gCO2e" in text
    assert "cost: 0.01 EUR" in text
