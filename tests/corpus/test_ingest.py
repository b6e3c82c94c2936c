"""From the spool folder into the corpus: what is stored, what is left alone, and what is never believed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from advisor.corpus import rows, store
from advisor.corpus.accounting import AccountedJob
from advisor.corpus.belief import Reader
from advisor.corpus.ingest import IngestSummary, ingest
from advisor.corpus.run import Run
from advisor.errors import CorpusError, SlurmError
from advisor.inspection.workload import Fact, Source
from advisor.submission.ticket import ticket_name, ticket_to_json
from advisor.telemetry.digest import MAX_DAMAGED_LINES
from advisor.telemetry.trace import Trace
from advisor.units import GIB
from tests.corpus.measured import (
    HEADER,
    JOB,
    NOW_S,
    POWER_W,
    PREDICTION,
    START_S,
    UID,
    USER,
    made_ticket,
    made_trace,
    on_nodes,
    spooled,
    trace_text,
)

# Typed as any, so that it can stand in a tuple that is compared.
about: Callable[[float], Any] = pytest.approx
Ingest = Callable[..., IngestSummary]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """An empty spool folder."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """An empty corpus, open for writing."""
    with store.writing(tmp_path / "corpus.db") as opened:
        yield opened


@pytest.fixture
def run_ingest(db: Database, spool: Path) -> Ingest:
    """Ingest the spool folder with this accounting."""

    def run(*accounted: AccountedJob, uid: int = UID, now_s: float = NOW_S) -> IngestSummary:
        return ingest(db, spool, lambda _ids: accounted, Reader(uid=uid, now_s=now_s))

    return run


def reasons(summary: IngestSummary) -> list[str]:
    """Why files were rejected."""
    return [item.reason for item in summary.rejected]


def only_run(db: Database) -> Run:
    """The one run of the corpus."""
    (run,) = rows.runs(db)
    return run


def test_a_trace_becomes_a_run(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """Energy, power, epochs and peaks come from the trace; state, user and allocation from accounting."""
    spooled(spool, made_trace())
    summary = run_ingest(JOB)
    run = only_run(db)

    assert (1, 1, 0, 0, ()) == (
        summary.traces_read,
        summary.runs_added,
        summary.runs_updated,
        summary.traces_skipped,
        summary.rejected,
    )
    assert ("COMPLETED", 0, USER, "bigml", "ampere", False) == (
        run.state,
        run.exit_status,
        run.user,
        run.account,
        run.partition,
        run.local,
    )
    assert (about(POWER_W * 50), about(POWER_W)) == (run.energy_j, run.mean_power_w)
    assert ("nvml_counter", "complete") == (run.energy_source, run.quality)
    assert (5, about(2000.0), about(10.0)) == (run.epochs, run.epoch_energy_j, run.epoch_duration_s)
    assert (1, 1, "NVIDIA A100-SXM4-80GB", 16 * GIB, 4) == (
        run.nodes,
        run.gpus,
        run.gpu_model,
        run.memory_bytes,
        run.cpus,
    )
    assert (10 * GIB, 3 * GIB, about(0.8)) == (run.gpu_memory_bytes, run.host_memory_bytes, run.gpu_utilisation)


def test_epochs_are_kept_one_by_one(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """Training needs each epoch, not only their mean."""
    spooled(spool, made_trace())
    run_ingest(JOB)

    assert [(index, 2000.0, 3200) for index in range(5)] == [
        (epoch.index, epoch.gpu_energy_j, epoch.samples) for epoch in rows.epochs_of(db, only_run(db))
    ]


def test_ticket_brings_facts_and_prediction(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """What was advised is stored beside what happened, as it was written."""
    spooled(spool, made_trace())
    (spool / ticket_name("mini", "7")).write_text(ticket_to_json(made_ticket()))
    run_ingest(JOB)
    run = only_run(db)

    assert (PREDICTION, "1", True, "ab" * 32) == (
        run.predicted,
        run.model.version if run.model else None,
        run.followed,
        run.script_sha256,
    )
    assert Fact(5, Source.OPTION) == run.workload.epochs
    assert (10_000.0, "prior") == db.execute("SELECT predicted_energy_j, model_name FROM tickets").fetchone()


def test_second_ingest_changes_nothing(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """An unchanged trace of a finished job is not read again, and accounting is not asked."""
    spooled(spool, made_trace())
    run_ingest(JOB)
    before = list(db.query("SELECT * FROM runs")), list(db.query("SELECT * FROM epochs"))

    def no_accounting(ids: Iterable[str]) -> Sequence[AccountedJob]:
        raise AssertionError(f"accounting was asked for {list(ids)}")

    again = ingest(db, spool, no_accounting, Reader(uid=UID, now_s=NOW_S))

    assert (0, 1, 0, 0) == (again.traces_read, again.traces_skipped, again.runs_added, again.runs_updated)
    assert before == (list(db.query("SELECT * FROM runs")), list(db.query("SELECT * FROM epochs")))


def test_grown_trace_updates_its_run(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A trace read while its job ran becomes the whole run once it has grown; nothing is counted twice."""
    spooled(spool, made_trace(epochs=2, exit_status=None))
    running = replace(JOB, state="RUNNING", ended_at=None)
    run_ingest(running)
    while_running = only_run(db)
    spooled(spool, made_trace(epochs=5))
    summary = run_ingest(JOB)
    run = only_run(db)

    assert ("RUNNING", "cut", 2) == (while_running.state, while_running.quality, while_running.epochs)
    assert (0, 1) == (summary.runs_added, summary.runs_updated)
    assert ("COMPLETED", "complete", 5, about(POWER_W * 50)) == (
        run.state,
        run.quality,
        run.epochs,
        run.energy_j,
    )


def test_unfinished_job_is_asked_for_again(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A trace that was complete before accounting knew of the end gets its state at the next ingest."""
    spooled(spool, made_trace())
    run_ingest(replace(JOB, state="COMPLETING", ended_at=None))
    run_ingest(JOB)

    assert "COMPLETED" == only_run(db).state


def test_nodes_of_one_attempt_become_one_run(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A job on two nodes is one run: energies and powers are summed, epochs are not doubled."""
    for header in on_nodes(HEADER, ["n1", "n2"]):
        spooled(spool, made_trace(header))
    summary = run_ingest(replace(JOB, nodes=2, node_list="n[1-2]", gpus=2, cpus=8, memory_bytes=32 * GIB))
    run = only_run(db)

    assert (2, 1) == (summary.traces_read, summary.runs_added)
    assert (2, 2, 5, "complete") == (run.nodes, run.gpus, run.epochs, run.quality)
    assert (about(2 * POWER_W * 50), about(2 * POWER_W)) == (run.energy_j, run.mean_power_w)
    assert about(4000.0) == run.epoch_energy_j
    assert (16 * GIB, 4) == (run.memory_bytes, run.cpus)


def test_late_node_joins_its_run(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A node whose trace came later is added to the run of the others; until then the run is cut."""
    first, second = on_nodes(HEADER, ["n1", "n2"])
    job = replace(JOB, nodes=2, node_list="n[1-2]", gpus=2)
    spooled(spool, made_trace(first))
    run_ingest(job)
    alone = only_run(db)
    spooled(spool, made_trace(second))
    run_ingest(job)
    both = only_run(db)

    assert ("cut", "complete") == (alone.quality, both.quality)
    assert about(2 * POWER_W * 50) == both.energy_j


def test_attempts_of_a_requeued_job_are_runs_of_their_own(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A requeued job keeps its id; each attempt is joined with its own line of accounting."""
    later = replace(HEADER, restart=1, started_at=START_S + 1000)
    spooled(spool, made_trace(epochs=2, exit_status=143))
    spooled(spool, made_trace(later))
    run_ingest(
        replace(JOB, state="REQUEUED", exit_status=143),
        replace(JOB, started_at=START_S + 998, ended_at=START_S + 1053),
    )

    assert [(1, "COMPLETED", 5), (0, "REQUEUED", 2)] == [(run.restart, run.state, run.epochs) for run in rows.runs(db)]


def test_array_tasks_share_a_ticket(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """Each task of an array is a run; the array's one ticket stands for all."""
    jobs = []
    for task, raw in (("1", "13"), ("2", "14")):
        header = replace(HEADER, job_id=raw, array_job_id="5", array_task=task)
        spooled(spool, made_trace(header))
        jobs.append(replace(JOB, job_id=raw, shown_id=f"5_{task}"))
    (spool / ticket_name("mini", "5")).write_text(ticket_to_json(made_ticket(header)))
    run_ingest(*jobs)
    found = list(rows.runs(db, job_id="5"))

    assert 1 == db.table("tickets").count
    assert [("13", "t1"), ("14", "t1")] == sorted((run.job_id, run.ticket_id or "") for run in found)
    assert ["14"] == [run.job_id for run in rows.runs(db, job_id="5_2")]


def test_cut_trace_keeps_what_was_measured(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A recorder that was killed costs the end of the record, not the record."""
    path = spooled(spool, made_trace())
    text = path.read_text()
    path.write_text(text[: text.index('"kind":"epoch"') + 40])
    summary = run_ingest(replace(JOB, state="NODE_FAIL"))
    run = only_run(db)

    assert () == summary.rejected
    assert ("NODE_FAIL", "cut", 0, about(POWER_W * 50)) == (run.state, run.quality, run.epochs, run.energy_j)


def test_altered_line_marks_the_run_damaged(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A trace with unreadable lines in its middle is kept, and says so."""
    path = spooled(spool, made_trace())
    lines = path.read_text().splitlines(keepends=True)
    lines[10] = "garbage\n"
    path.write_text("".join(lines))
    run_ingest(JOB)

    assert "damaged" == only_run(db).quality


def test_power_without_counter_is_an_integral(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A GPU without an energy counter is integrated from its power, and the row says so."""
    trace = made_trace()
    samples = tuple(
        replace(sample, gpus=tuple(replace(gpu, energy_counter_j=None) for gpu in sample.gpus))
        for sample in trace.samples
    )
    spooled(spool, replace(trace, samples=samples))
    run_ingest(JOB)
    run = only_run(db)

    assert ("nvml_integral", about(POWER_W * 50)) == (run.energy_source, run.energy_j)


def test_without_gpu_the_energy_is_not_the_gpus(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """Host energy and Slurm's own figure stand in, each under its own name; with neither there is none."""
    header = replace(HEADER, gpus=(), gpu_note="no NVML")
    trace = made_trace(header)
    assert trace.footer is not None
    with_rapl = replace(trace, footer=replace(trace.footer, host_energy_j=900.0, host_energy_source="rapl"))
    spooled(spool, replace(with_rapl, header=replace(header, job_id="1")))
    for job_id in ("2", "3"):
        spooled(spool, replace(trace, header=replace(header, job_id=job_id)))
    job = replace(JOB, gpus=None)
    run_ingest(replace(job, job_id="1"), replace(job, job_id="2", consumed_energy_j=1200.0), replace(job, job_id="3"))

    assert [("1", "rapl", 900.0), ("2", "sacct", 1200.0), ("3", "none", None)] == sorted(
        (run.job_id, run.energy_source, run.energy_j) for run in rows.runs(db)
    )


def test_local_run_needs_no_accounting(db: Database, spool: Path) -> None:
    """A run of gsbatch --local is believed of the ingesting user, marked as local, its state from its exit status."""
    for job_id, status in (("local-a", 0), ("local-b", 3)):
        spooled(spool, made_trace(replace(HEADER, job_id=job_id, cluster="local"), exit_status=status))

    def no_accounting(ids: Iterable[str]) -> Sequence[AccountedJob]:
        raise AssertionError(f"accounting was asked for {list(ids)}")

    ingest(db, spool, no_accounting, Reader(uid=UID, now_s=NOW_S))

    assert [("local-a", True, "COMPLETED", 0), ("local-b", True, "FAILED", 3)] == sorted(
        (run.job_id, run.local, run.state, run.exit_status) for run in rows.runs(db)
    )


def test_local_run_of_another_user_is_not_believed(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """No accounting vouches for a local run, so only its own user may ingest it."""
    spooled(spool, made_trace(replace(HEADER, job_id="local-a")))

    assert ["it is of a local run of another user, for which no accounting vouches"] == reasons(run_ingest(uid=UID + 1))
    assert 0 == db.table("runs").count


def test_folders_of_users_are_read(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A spool with a folder for each user is read one level deep, through no link."""
    (spool / "alice").mkdir()
    spooled(spool / "alice", made_trace())
    (spool / "again").symlink_to(spool / "alice")
    summary = run_ingest(JOB)

    assert (1, ()) == (summary.runs_added, summary.rejected)


def test_failed_accounting_stores_nothing(db: Database, spool: Path) -> None:
    """Without accounting nothing is believed, and nothing is rejected for it either."""
    spooled(spool, made_trace())

    def down(_ids: Iterable[str]) -> Sequence[AccountedJob]:
        raise SlurmError("slurmdbd is down")

    with pytest.raises(SlurmError):
        ingest(db, spool, down, Reader(uid=UID, now_s=NOW_S))

    assert (0, 0) == (db.table("runs").count, db.table("rejected").count)


def test_rejected_trace_is_looked_at_again(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A job that accounting learns of late is not lost; its file leaves the list of the rejected."""
    spooled(spool, made_trace())
    first = run_ingest()
    second = run_ingest(JOB)

    assert ["accounting knows no started job 7 on mini"] == reasons(first)
    assert (1, 0) == (second.runs_added, db.table("rejected").count)


def test_used_job_id_does_not_overwrite(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """When a cluster begins to count anew, its job 7 does not replace the job 7 of before."""
    spooled(spool, made_trace())
    run_ingest(JOB)
    (spool / "mini-7-0-n1.trace.jsonl").unlink()
    spooled(spool, made_trace(replace(HEADER, started_at=START_S + 50_000)))
    summary = run_ingest(replace(JOB, started_at=START_S + 49_999, ended_at=None))

    assert ["the corpus holds another run of this job id"] == reasons(summary)
    assert START_S == only_run(db).started_at


OTHERS_JOB = replace(JOB, uid=UID + 1, user="bob")


@pytest.mark.parametrize(
    ("header", "job", "reason"),
    [
        ({}, OTHERS_JOB, "belongs to bob"),
        ({}, replace(JOB, uid=None), f"belongs to {USER}"),
        ({}, replace(JOB, gpus=0), "1 GPUs are measured"),
        ({}, replace(JOB, started_at=START_S + 1000), "begins before"),
        ({}, replace(JOB, ended_at=START_S - 1000), "goes on after"),
        ({}, replace(JOB, cluster="other"), "no started job"),
        ({}, replace(JOB, started_at=None), "no started job"),
        ({"uid": UID + 1}, JOB, "names uid"),
        ({"job_id": "7; rm"}, JOB, "neither Slurm's nor local"),
        ({"job_id": "local-../../x"}, JOB, "neither Slurm's nor local"),
        ({"node": "../../etc"}, JOB, "a name in its header"),
        ({"user": "\x1b[31m"}, JOB, "a name in its header"),
        ({"started_at": NOW_S + 10_000}, JOB, "begins in the future"),
        ({"started_at": -1.0}, JOB, "before 1970"),
        ({"restart": -1}, JOB, "restart or node count"),
        ({"nodes": 10**9}, JOB, "restart or node count"),
        ({"node_rank": 5}, JOB, "restart or node count"),
        ({"interval_s": 0.0}, JOB, "sampling interval"),
        ({"schema": 99}, JOB, "schema 99"),
        ({"gpus": HEADER.gpus * 100}, JOB, "GPUs are absurd"),
        ({"array_job_id": "5/6"}, JOB, "array"),
        ({"gpu_sensor": "perpetuum mobile"}, JOB, "GPU sensor"),
        ({"restart": 1 << 80}, JOB, "restart or node count"),
    ],
)
def test_header_that_cannot_be_true(
    spool: Path, run_ingest: Ingest, header: dict[str, Any], job: AccountedJob, reason: str
) -> None:
    """A trace of another's job, of no job, or with absurd words is refused with its reason and never a row."""
    trace = made_trace(replace(HEADER, **header), epochs=1)
    (spool / "x.trace.jsonl").write_text(trace_text(trace))
    summary = run_ingest(job)

    assert reason in reasons(summary)[0]
    assert 0 == summary.runs_added


def _with_sample(**changes: Any) -> Trace:
    trace = made_trace(epochs=1)
    sample = trace.samples[5]
    gpu = replace(sample.gpus[0], **changes)
    return replace(trace, samples=(*trace.samples[:5], replace(sample, gpus=(gpu,)), *trace.samples[6:]))


def _with_epoch(**changes: Any) -> Trace:
    trace = made_trace(epochs=1)
    return replace(trace, epochs=(replace(trace.epochs[0], **changes),))


@pytest.mark.parametrize(
    ("trace", "reason"),
    [
        (_with_sample(power_w=-5.0), "impossible reading"),
        (_with_sample(power_w=1e9), "impossible reading"),
        (_with_sample(utilisation=7.0), "impossible reading"),
        (_with_sample(memory_used_bytes=-1), "impossible reading"),
        (_with_epoch(gpu_energy_j=-1.0), "epoch 0 of phase 0"),
        (_with_epoch(gpu_energy_j=1e12), "epoch 0 of phase 0"),
        (_with_epoch(ended_at=START_S - 10), "epoch 0 of phase 0"),
        (_with_epoch(index=-1), "epoch -1 of phase 0"),
        (_with_epoch(samples=-3), "epoch 0 of phase 0"),
        (replace(made_trace(epochs=1), samples=made_trace(epochs=90).samples[::-1]), "order of time"),
    ],
)
def test_readings_that_no_machine_makes(
    db: Database, spool: Path, run_ingest: Ingest, trace: Trace, reason: str
) -> None:
    """Negative, absurd or disordered readings cost the whole trace: a wrong figure is worse than none."""
    spooled(spool, trace)
    (found,) = reasons(run_ingest(JOB))

    assert reason in found
    assert 0 == db.table("runs").count


@pytest.mark.parametrize(
    "trace",
    [_with_epoch(index=1 << 80), _with_epoch(steps=1 << 80), made_trace(epochs=1, exit_status=1 << 80)],
)
def test_numbers_beyond_any_count_are_damage(db: Database, spool: Path, run_ingest: Ingest, trace: Trace) -> None:
    """A line with a number that no counter reaches is left out, and the run says that its trace is damaged."""
    spooled(spool, trace)

    assert [] == reasons(run_ingest(JOB))
    assert only_run(db).quality in {"cut", "damaged"}


def test_replayed_readings_say_so(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """Energy of recorded readings that stood in for GPUs, however many, is never taken for a measurement."""
    spooled(spool, made_trace(replace(HEADER, gpu_sensor="replay", gpus=HEADER.gpus * 2)))
    run_ingest(JOB)

    assert "replay" == only_run(db).energy_source


def test_made_up_counter_is_refused(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A counter that leaps by gigajoules in a minute is not believed, whatever the footer says."""
    trace = made_trace(epochs=1)
    leap = replace(trace.samples[-1].gpus[0], energy_counter_j=1e12)
    spooled(spool, replace(trace, samples=(*trace.samples[:-1], replace(trace.samples[-1], gpus=(leap,)))))

    assert ["its GPU energy is more than its GPUs can draw in its time"] == reasons(run_ingest(JOB))
    assert 0 == db.table("runs").count


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "not json\n",
        "[1, 2]\n",
        '{"kind": "header"}\n',
        "[" * 100_000 + "\n",
        '{"kind": "header", "schema": ' + "9" * 400 + "}\n",
        "\x00" * 1000,
        '{"kind": "sample", "time_s": NaN, "gpus": [], "host": []}\n',
        trace_text(made_trace(epochs=1)) + "\n" * (MAX_DAMAGED_LINES + 1),
    ],
)
def test_files_that_are_no_traces(db: Database, spool: Path, run_ingest: Ingest, line: str) -> None:
    """Whatever bytes lie in the spool folder, ingest goes on and says why it passed them over."""
    (spool / "a.trace.jsonl").write_text(line)
    spooled(spool, made_trace())
    summary = run_ingest(JOB)

    assert (1, 1) == (summary.runs_added, len(summary.rejected))


def test_wrong_types_and_nan_are_refused(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A header whose fields are of other types is no header; NaN and huge numbers are no readings."""
    for index, (field, value) in enumerate(
        [("job_id", 7), ("uid", "0"), ("gpus", "all"), ("started_at", float("nan")), ("interval_s", 10**400)]
    ):
        lines = trace_text(made_trace(epochs=1)).splitlines()
        header = json.loads(lines[0]) | {field: value}
        (spool / f"{index}.trace.jsonl").write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    summary = run_ingest(JOB)

    assert (0, 5) == (summary.runs_added, len(summary.rejected))


def test_things_that_are_no_files(db: Database, spool: Path, run_ingest: Ingest, tmp_path: Path) -> None:
    """Links are not followed, FIFOs not waited for, folders and sparse giants not read."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    real = spooled(elsewhere, made_trace())
    (spool / "a.trace.jsonl").symlink_to(real)
    os.mkfifo(spool / "b.trace.jsonl")
    (spool / "c.trace.jsonl").mkdir()
    with (spool / "d.trace.jsonl").open("wb") as file:
        file.truncate(1 << 40)
    summary = run_ingest(JOB)

    assert 0 == summary.runs_added
    assert [
        "it is a symbolic link",
        "it is not a regular file",
        "it is not a regular file",
        "it has 1099511627776 bytes; 1 to 536870912 are believed",
    ] == reasons(summary)


def test_names_of_any_bytes(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A name that is no UTF-8 is no trace's, and keeps nobody else's from being read."""
    path = spooled(spool, made_trace())
    for name in (b"\xff.trace.jsonl", b"\xfe/x.trace.jsonl"):
        other = spool / os.fsdecode(name)
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(path.read_bytes())
    summary = run_ingest(JOB)

    assert (1, ()) == (summary.runs_added, summary.rejected)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make files of another user")
def test_file_of_another_user_is_not_believed(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """Who wrote a file is the kernel's word: bob's file about alice's job is refused, though it names alice."""
    path = spooled(spool, made_trace())
    os.chown(path, 65534, 65534)

    assert ["it names uid 0, but the file belongs to uid 65534"] == reasons(run_ingest(JOB))


def test_two_files_of_one_node(db: Database, spool: Path, run_ingest: Ingest) -> None:
    """A copied trace does not double a run's energy."""
    path = spooled(spool, made_trace())
    (spool / "z.trace.jsonl").write_bytes(path.read_bytes())
    summary = run_ingest(JOB)

    assert ["mini-7-0-n1.trace.jsonl is of the same node and attempt"] == reasons(summary)
    assert about(POWER_W * 50) == only_run(db).energy_j


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"job_id": "8"}, "it is of job 8 on mini"),
        ({"cluster": "other"}, "it is of job 7 on other"),
        ({"submitted_at": 5}, "submitted_at"),
        ({"schema": 99}, "schema"),
        ({"prediction": {"method": "x"}}, "placement"),
        ({"user": "\ud800"}, "it is of user"),
        ({"objective": "e" * 200}, "a name in it is none"),
        ({"user": "somebody"}, "it is of user somebody"),
        ({"model": {"name": "m" * 10_000, "version": "1", "trained_on_runs": 0, "promoted_at": ""}}, "a name in it"),
    ],
)
def test_ticket_that_cannot_be_true(
    db: Database, spool: Path, run_ingest: Ingest, changes: dict[str, object], reason: str
) -> None:
    """A run whose ticket is wrong is stored without it, and the ticket is listed with the reason."""
    spooled(spool, made_trace())
    (spool / ticket_name("mini", "7")).write_text(json.dumps(json.loads(ticket_to_json(made_ticket())) | changes))
    summary = run_ingest(JOB)

    assert (1, 0) == (summary.runs_added, db.table("tickets").count)
    assert reason in reasons(summary)[0]


@pytest.mark.parametrize("number", ["NaN", "1e308", "-Infinity", "9" * 400])
def test_ticket_with_a_number_that_is_none(spool: Path, run_ingest: Ingest, number: str) -> None:
    """JSON readers take it; reports and regressors must not meet it."""
    spooled(spool, made_trace())
    text = ticket_to_json(made_ticket()).replace("10000.0", number)
    (spool / ticket_name("mini", "7")).write_text(text)
    summary = run_ingest(JOB)

    assert (1, True) == (summary.runs_added, any(said in reasons(summary)[0] for said in ("too large", "no number")))


def test_disk_that_fills_up_loses_nothing(spool: Path, tmp_path: Path) -> None:
    """What was stored stays, the error says why, and the next ingest goes on where this one stopped."""
    jobs = [replace(JOB, job_id=str(number), shown_id=str(number)) for number in range(1, 41)]
    for job in jobs:
        spooled(spool, made_trace(replace(HEADER, job_id=job.job_id), epochs=20))
    corpus = tmp_path / "corpus.db"
    with pytest.raises(CorpusError, match="full"), store.writing(corpus) as db:  # noqa: PT012 (ingest alone raises it)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 5}")  # SQLite then says what it says of a full disk
        ingest(db, spool, lambda _ids: jobs, Reader(uid=UID, now_s=NOW_S))
    with store.writing(corpus) as db:
        stored = db.table("runs").count
        summary = ingest(db, spool, lambda _ids: jobs, Reader(uid=UID, now_s=NOW_S))

    assert 0 < stored < len(jobs)
    assert (len(jobs) - stored, stored) == (summary.runs_added, summary.traces_skipped)


def test_progress_is_told(db: Database, spool: Path) -> None:
    """Long ingests can be watched: the number of attempts done and of all, ending with all."""
    for job_id in ("1", "2", "3"):
        spooled(spool, made_trace(replace(HEADER, job_id=job_id), epochs=1))
    told: list[tuple[int, int]] = []
    ingest(
        db,
        spool,
        lambda ids: [replace(JOB, job_id=job_id) for job_id in ids],
        Reader(uid=UID, now_s=NOW_S),
        progress=lambda done, total: told.append((done, total)),
    )

    assert [(0, 3), (1, 3), (2, 3), (3, 3)] == told
