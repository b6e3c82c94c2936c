"""What sacct said, under every recorded Slurm, becomes the same values."""

from __future__ import annotations

import pwd
from datetime import datetime, timezone
from pathlib import Path

import pytest

from advisor.corpus.accounting import (
    DELIMITER,
    FIELDS,
    JOBS_PER_QUERY,
    AccountedJob,
    accounted_jobs,
    is_job_id,
    parse_sacct,
    state_word,
)
from advisor.errors import SlurmCommandFailed, SlurmNotFound, UsageError
from advisor.units import GIB, KIB, MIB

RECORDED = Path(__file__).parents[1] / "data" / "slurm"
VERSIONS = ("22.05.8", "25.11.7")


def recorded_answer(version: str) -> str:
    """The recorded full listing of a Slurm version, cut to the fields that are asked for, steps with their jobs."""
    lines = (RECORDED / version / "sacct.txt").read_text().splitlines()
    header = lines[0].split("|")
    return "\n".join(DELIMITER.join(line.split("|")[header.index(field)] for field in FIELDS) for line in lines[1:])


def fake_sacct(folder: Path, script: str) -> None:
    """Put a program named sacct first on the path."""
    program = folder / "sacct"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def path_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


@pytest.fixture(params=VERSIONS)
def jobs(request: pytest.FixtureRequest) -> dict[str, AccountedJob]:
    """The recorded jobs of one Slurm version by raw id."""
    return {job.job_id: job for job in parse_sacct(recorded_answer(request.param))}


def test_every_recorded_field_exists_in_every_version() -> None:
    """Only fields that all supported versions know are asked for: sacct fails at an unknown one."""
    missing = {
        version: set(FIELDS) - set((RECORDED / version / "sacct.txt").read_text().splitlines()[0].split("|"))
        for version in VERSIONS
    }

    assert {version: set() for version in VERSIONS} == missing


def test_job_and_step_become_one_value(jobs: dict[str, AccountedJob]) -> None:
    """A job's allocation comes from its own line, its memory peak from its steps."""
    job = jobs["2"]

    assert ("alice", 1001, "bigml", "ampere", "COMPLETED", 0) == (
        job.user,
        job.uid,
        job.account,
        job.partition,
        job.state,
        job.exit_status,
    )
    assert (1, 1, 2, 16 * GIB, "a100n1") == (job.nodes, job.cpus, job.gpus, job.memory_bytes, job.node_list)
    assert job.max_rss_bytes is not None
    assert 59000 * KIB < job.max_rss_bytes < 61000 * KIB
    assert job.finished


def test_array_task_keeps_both_ids(jobs: dict[str, AccountedJob]) -> None:
    """A task of an array is stored under its raw id and shown under the array's."""
    assert ["5_1", "5_2", "5_3"] == [jobs[raw].shown_id for raw in ("13", "14", "5")]


def test_failed_job_keeps_its_status(jobs: dict[str, AccountedJob]) -> None:
    """A job that ended with status 3 and never lived long enough to be sampled says exactly that."""
    assert ("FAILED", 3, None, 2000 * MIB) == (
        jobs["9"].state,
        jobs["9"].exit_status,
        jobs["9"].max_rss_bytes,
        jobs["9"].memory_bytes,
    )


def test_pending_job_has_no_times() -> None:
    """Slurm's 'Unknown' and 'None assigned' are absent values, not zeros."""
    pending = next(job for job in parse_sacct(recorded_answer("22.05.8")) if job.job_id == "8")

    assert (None, None, None, None, False) == (
        pending.started_at,
        pending.ended_at,
        pending.gpus,
        pending.cpus,
        pending.finished,
    )


def test_times_are_utc(jobs: dict[str, AccountedJob]) -> None:
    """Times are asked for in UTC and read as such, so that no hour exists twice."""
    job = jobs["1"]

    assert job.started_at is not None
    assert 2026 == datetime.fromtimestamp(job.started_at, tz=timezone.utc).year
    assert job.submitted_at is not None
    assert 0 <= job.started_at - job.submitted_at < 60


@pytest.mark.parametrize(
    ("text", "word"),
    [("CANCELLED by 1001", "CANCELLED"), ("OUT_OF_ME+", "OUT_OF_ME"), ("REQUEUED", "REQUEUED"), ("", "UNKNOWN")],
)
def test_state_is_one_word(text: str, word: str) -> None:
    """What follows a state (who cancelled it) is not part of it."""
    assert word == state_word(text)


def test_requeued_job_has_a_value_for_each_attempt() -> None:
    """With --duplicates a requeued job is listed once for each attempt, each with its own steps."""
    template = dict.fromkeys(FIELDS, "") | {"JobID": "7", "JobIDRaw": "7", "Cluster": "c", "UID": "1", "NNodes": "1"}
    rows = [
        template | {"State": "REQUEUED", "Start": "2026-01-01T00:00:00", "End": "2026-01-01T01:00:00"},
        template | {"JobID": "7.batch", "JobIDRaw": "7.batch", "MaxRSS": "10M"},
        template | {"State": "COMPLETED", "Start": "2026-01-01T02:00:00", "End": "2026-01-01T03:00:00"},
        template | {"JobID": "7.batch", "JobIDRaw": "7.batch", "MaxRSS": "30M"},
        template | {"JobID": "7.0", "JobIDRaw": "7.0", "MaxRSS": "20M", "ConsumedEnergyRaw": "500"},
    ]
    attempts = parse_sacct("\n".join(DELIMITER.join(row[field] for field in FIELDS) for row in rows))

    assert [("REQUEUED", 10 * MIB, None), ("COMPLETED", 30 * MIB, 500.0)] == [
        (job.state, job.max_rss_bytes, job.consumed_energy_j) for job in attempts
    ]


def test_first_record_of_a_job_is_of_nobody() -> None:
    """As recorded from 22.05.8: for a moment slurmdbd has a start and uid 0 for a job that slurmctld just began."""
    row = dict.fromkeys(FIELDS, "") | {
        "JobID": "1",
        "JobIDRaw": "1",
        "User": "alice",
        "UID": "0",
        "State": "PENDING",
        "Start": "2026-11-21T07:14:46",
        "End": "Unknown",
        "NNodes": "0",
    }
    (job,) = parse_sacct(DELIMITER.join(row[field] for field in FIELDS))

    assert (None, None, False) == (job.uid, job.started_at, job.finished)


def test_lost_uid_is_that_of_the_user(path_folder: Path) -> None:
    """Slurm 22.05 leaves some short jobs with uid 0; their user's name, which the account gives, stands in."""
    mine = pwd.getpwuid(65534).pw_name
    rows = [
        dict.fromkeys(FIELDS, "") | {"JobID": raw, "JobIDRaw": raw, "User": user, "UID": "0", "State": "COMPLETED"}
        for raw, user in (("1", mine), ("2", "no-such-user"), ("3", "root"))
    ]
    (path_folder / "answer").write_text("\n".join(DELIMITER.join(row[field] for field in FIELDS) for row in rows))
    fake_sacct(path_folder, f"cat {path_folder}/answer")

    assert [65534, None, 0] == [job.uid for job in accounted_jobs(["1", "2", "3"])]


def test_lines_of_another_shape_are_left_out() -> None:
    """A line that sacct never writes (a warning, a truncated answer) is not half read."""
    assert () == parse_sacct("sacct: warning: something\n\n1|2|3\n")


@pytest.mark.parametrize("text", ["12", "12_3", "12+1"])
def test_job_ids_as_sacct_takes_them(text: str) -> None:
    """Plain jobs, array tasks and heterogeneous components can be asked for."""
    assert is_job_id(text)


@pytest.mark.parametrize("text", ["", "12.batch", "12;rm", "local-1", "-1", "1_", "١٢"])
def test_other_texts_are_no_job_ids(text: str) -> None:
    """Nothing but an id ever reaches sacct's command line."""
    assert not is_job_id(text)
    with pytest.raises(UsageError):
        accounted_jobs([text])


def test_one_query_for_all_jobs(path_folder: Path) -> None:
    """All jobs are asked for in one sacct, in UTC, with every attempt."""
    fake_sacct(path_folder, f'echo "TZ=$TZ $*" >> {path_folder}/calls')
    accounted_jobs(str(number) for number in range(1, 1001))
    calls = (path_folder / "calls").read_text().splitlines()

    assert 1 == len(calls)
    assert calls[0].startswith("TZ=UTC --parsable2 --noheader --duplicates")
    assert 1000 == len(calls[0].split("--jobs=")[1].split()[0].split(","))


def test_very_many_jobs_are_asked_in_chunks(path_folder: Path) -> None:
    """The kernel bounds one argument; a year of jobs is asked in as few queries as fit."""
    fake_sacct(path_folder, f'echo "${{#8}}" >> {path_folder}/calls')
    accounted_jobs(str(1_000_000_000 + number) for number in range(JOBS_PER_QUERY + 1))
    lengths = [int(line) for line in (path_folder / "calls").read_text().splitlines()]

    assert 2 == len(lengths)
    assert max(lengths) < 128 * KIB


def test_no_jobs_ask_nothing(path_folder: Path) -> None:
    """An ingest with nothing new does not bother slurmdbd."""
    fake_sacct(path_folder, f"touch {path_folder}/called")

    assert () == accounted_jobs([])
    assert not (path_folder / "called").exists()


def test_failing_sacct_is_an_error_with_its_words(path_folder: Path) -> None:
    """Accounting that cannot be asked is never read as 'no such job'."""
    fake_sacct(path_folder, 'echo "sacct: error: slurmdbd is not up" >&2; exit 1')

    with pytest.raises(SlurmCommandFailed, match="slurmdbd is not up") as raised:
        accounted_jobs(["1"])

    assert "Is slurmdbd up? Try: sacctmgr ping" == raised.value.hint


def test_sacct_that_hangs_is_ended_and_named_in_few_words(path_folder: Path) -> None:
    """The message does not list thousands of jobs."""
    fake_sacct(path_folder, "exec sleep 60")

    with pytest.raises(SlurmCommandFailed) as raised:
        accounted_jobs([str(number) for number in range(1, 3000)], timeout_s=0.2)

    assert "'sacct --jobs=1,...' took too long." == str(raised.value)


def test_missing_sacct_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Slurm the message says which command is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SlurmNotFound, match="sacct"):
        accounted_jobs(["1"])
