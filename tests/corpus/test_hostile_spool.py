"""What users may lay into the spool without hurting the admin, the corpus or each other."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from advisor.corpus import rows, store
from advisor.corpus.accounting import AccountedJob
from advisor.corpus.belief import Reader
from advisor.corpus.export import export_csv
from advisor.corpus.hardware import Hardware
from advisor.corpus.history import facts_of_earlier_jobs
from advisor.corpus.ingest import IngestSummary, Quota, ingest
from advisor.inspection.workload import Fact, Source, Workload
from advisor.submission.ticket import ticket_name, ticket_to_json
from advisor.telemetry.trace import TracedGpu, TraceHeader
from advisor.workflows.fits import fits_of
from tests.capabilities import REPOSITORY
from tests.corpus.measured import HEADER, JOB, NOW_S, START_S, UID, USER, made_ticket, made_trace, spooled, trace_text

HOUR_S = 3600.0


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


def ingested(
    db: Database, spool: Path, *accounted: AccountedJob, now_s: float = NOW_S, hardware: Hardware | None = None
) -> IngestSummary:
    """Ingest the spool folder with this accounting."""
    return ingest(db, spool, lambda _ids: accounted, Reader(uid=UID, now_s=now_s, hardware=hardware or Hardware()))


def reasons(summary: IngestSummary) -> list[str]:
    """Why files were rejected."""
    return [item.reason for item in summary.rejected]


# What no text of a user may bring to a terminal, a database or a browser.
HOSTILE = "\ud800\x1b[2J\u202e\x00\n"


def _hostile(plain: Any) -> Any:
    """The same JSON with something hostile at the end of every text."""
    if isinstance(plain, str):
        return plain + HOSTILE
    if isinstance(plain, list):
        return [_hostile(item) for item in plain]
    if isinstance(plain, dict):
        return {name: _hostile(value) for name, value in plain.items()}
    return plain


@pytest.mark.parametrize("field", sorted(json.loads(ticket_to_json(made_ticket()))))
def test_no_text_of_a_ticket_ends_an_ingest(db: Database, spool: Path, field: str) -> None:
    """A lone surrogate in any field costs the ticket at most; the other user's run is stored."""
    spooled(spool, made_trace())
    spooled(spool, made_trace(replace(HEADER, job_id="8")))
    plain = json.loads(ticket_to_json(made_ticket()))
    plain[field] = _hostile(plain[field])
    (spool / ticket_name("mini", "7")).write_text(json.dumps(plain))
    summary = ingested(db, spool, JOB, replace(JOB, job_id="8", shown_id="8"))

    assert 2 == summary.runs_added
    assert all(reason.isprintable() for reason in reasons(summary))


@pytest.mark.parametrize("field", sorted(TraceHeader.__dataclass_fields__))
def test_no_text_of_a_header_ends_an_ingest(db: Database, spool: Path, field: str) -> None:
    """As in tickets."""
    spooled(spool, made_trace(replace(HEADER, job_id="8")))
    first, rest = trace_text(made_trace()).split("\n", 1)
    header = json.loads(first)
    header[field] = _hostile(header[field]) if header[field] is not None else HOSTILE
    (spool / "x.trace.jsonl").write_text(json.dumps(header) + "\n" + rest)
    summary = ingested(db, spool, JOB, replace(JOB, job_id="8", shown_id="8"))

    assert summary.runs_added >= 1
    assert all(reason.isprintable() for reason in reasons(summary))


def test_texts_are_escaped_where_they_come_in(db: Database, spool: Path) -> None:
    """What reaches a terminal or a page was made plain before it was stored; it still shows what stood there."""
    ticket = replace(made_ticket(), workload=Workload(model_name=Fact("net\x1b[31m\u202e", Source.OPTION)))
    assert ticket.prediction is not None
    ticket = replace(ticket, prediction=replace(ticket.prediction, method="\x1b]0;owned\x07"))
    (spool / ticket_name("mini", "7")).write_text(ticket_to_json(ticket))
    spooled(spool, made_trace())
    ingested(db, spool, JOB)
    (run,) = rows.runs(db)

    assert r"net\x1b[31m\u202e" == run.workload.model_name.value
    assert run.predicted is not None
    assert r"\x1b]0;owned\x07" == run.predicted.method
    stored = [str(value) for row in db.query("SELECT * FROM tickets") for value in row.values()]
    assert all(text.replace("\n", "").isprintable() for text in stored)


def test_no_cell_of_an_export_is_a_formula(db: Database, spool: Path) -> None:
    """A spreadsheet runs a text that begins with =, +, - or @."""
    name = '=HYPERLINK("http://example.org","net")'
    ticket = replace(made_ticket(), workload=Workload(model_name=Fact(name, Source.OPTION)))
    (spool / ticket_name("mini", "7")).write_text(ticket_to_json(ticket))
    spooled(spool, made_trace())
    ingested(db, spool, JOB)
    written = io.StringIO()
    export_csv(rows.runs(db), written)
    (row,) = csv.DictReader(io.StringIO(written.getvalue()))

    assert f"'{name}" == row["workload_model_name"]


MEASURE = """
import resource, sys
from pathlib import Path
from advisor.corpus import store
from advisor.corpus.belief import Reader
from advisor.corpus.ingest import ingest
from tests.corpus.measured import JOB, NOW_S, UID
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with store.writing(Path(sys.argv[1]) / "corpus.db") as db:
    ingest(db, Path(sys.argv[1]) / "spool", lambda ids: [JOB], Reader(uid=UID, now_s=NOW_S))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
_MIB = 1024 * 1024
_KINDS = {
    "brackets": '{"kind":"epoch","x":[' + "[]," * (32 * _MIB // 3) + "[]]}\n",
    "wide": '{"kind":"epoch","x":"\U0001f600' + "a" * (32 * _MIB) + '"}\n',
    "deep": "[" * (32 * _MIB) + "\n",
    "one line": "a" * (32 * _MIB),
    "many lines": "\n" * (32 * _MIB),
    "objects": ('{"kind":"stop","x":[' + "{}," * 200_000 + "{}]}\n") * 40,
    "projections": (
        '{"kind":"projection","time_s":1,"method":"m","energy_j":1,"energy_low_j":1,"energy_high_j":1,"duration_s":1}\n'
    )
    * 200_000,
}


@pytest.mark.parametrize("kind", _KINDS)
def test_a_trace_takes_bounded_memory(tmp_path: Path, kind: str) -> None:
    """32 MB of any JSON need less than 100 MB to be read or refused, where one needed a gigabyte."""
    spool = tmp_path / "spool"
    spool.mkdir()
    first, rest = trace_text(made_trace()).split("\n", 1)
    (spool / "mini-7-0-n1.trace.jsonl").write_text(first + "\n" + _KINDS[kind] + rest, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    assert int(done.stdout) < 100 * 1024


def test_a_long_run_takes_bounded_memory(tmp_path: Path) -> None:
    """Samples are counted and forgotten: 200,000 of them, with four GPUs, are 20 MB of memory at most."""
    spool = tmp_path / "spool"
    spool.mkdir()
    trace = made_trace(replace(HEADER, gpus=HEADER.gpus * 4))
    first, rest = trace_text(trace).split("\n", 1)
    line = rest.partition("\n")[0] + "\n"
    (spool / "mini-7-0-n1.trace.jsonl").write_text(first + "\n" + line * 200_000 + rest, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    assert int(done.stdout) < 20 * 1024


def test_a_refused_file_is_not_read_again(db: Database, spool: Path) -> None:
    """As long as it lies there unchanged; a changed one is, and one that is gone is forgotten."""
    path = spool / "a.trace.jsonl"
    path.write_text("nonsense\n")
    first, again = ingested(db, spool), ingested(db, spool, now_s=NOW_S + 1e6)
    path.write_text("other nonsense\n")
    changed = ingested(db, spool)
    path.unlink()
    gone = ingested(db, spool)

    assert [(1, 0), (0, 1), (1, 0), (0, 0)] == [
        (len(summary.rejected), summary.rejected_before) for summary in (first, again, changed, gone)
    ]
    assert 0 == db.table("rejected").count


def test_a_refusal_that_time_may_lift_is_looked_at_ever_less_often(db: Database, spool: Path) -> None:
    """Accounting learns of a job late; after a month without it there never was one."""
    spooled(spool, made_trace())
    looked = [hour for hour in range(24 * 60) if ingested(db, spool, now_s=NOW_S + hour * HOUR_S).rejected]

    assert [0, 1, 2, 4, 8, 16, 32] == looked[:7]
    assert {24} == {after - before for before, after in itertools.pairwise(looked[6:])}
    assert 30 * 24 < looked[-1] <= 33 * 24


def test_a_refused_job_is_believed_when_accounting_knows_it(db: Database, spool: Path) -> None:
    """Nothing of an honest user is lost to the memory of refusals."""
    spooled(spool, made_trace())
    ingested(db, spool)
    ingested(db, spool, now_s=NOW_S + HOUR_S)

    assert 1 == ingested(db, spool, JOB, now_s=NOW_S + 2 * HOUR_S).runs_added
    assert 0 == db.table("rejected").count


def test_reasons_are_short(db: Database, spool: Path) -> None:
    """A reason quotes what a user wrote."""
    header = json.loads(trace_text(made_trace()).split("\n")[0])
    (spool / "a.trace.jsonl").write_text(json.dumps({**header, "job_id": ["x" * 100_000]}) + "\n")
    (reason,) = reasons(ingested(db, spool))

    assert len(reason) <= 200


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make files of another user")
@pytest.mark.parametrize("quota", [Quota(seconds=2.0), Quota(epochs=6), Quota(jobs=2)])
def test_one_user_does_not_take_the_others_time(db: Database, spool: Path, quota: Quota) -> None:
    """Each user has a share of an ingest; what is left of one's files comes with the next, and nothing is refused."""
    jobs = []
    for number in range(6):
        greedy = number < 5
        uid, user = (54321, "greedy") if greedy else (UID, USER)
        header = replace(HEADER, job_id=str(number), uid=uid, user=user)
        os.chown(spooled(spool, made_trace(header, epochs=5)), uid, uid)
        jobs.append(replace(JOB, job_id=str(number), shown_id=str(number), uid=uid, user=user))
    ticks = iter(range(1000))
    summaries = [
        ingest(
            db, spool, lambda _ids: jobs, Reader(uid=UID, now_s=NOW_S), quota=quota, clock=lambda: float(next(ticks))
        )
        for _ in range(4)
    ]

    assert [USER] == [run.user for run in rows.runs(db) if run.job_id == "5"]
    assert summaries[0].deferred > 0
    assert all(summary.runs_added < 6 and not summary.rejected for summary in summaries)


def test_a_ticket_speaks_for_its_owner_alone(db: Database, spool: Path, tmp_path: Path) -> None:
    """A ticket that names another user is refused; what is stored is the user that accounting has."""
    spooled(spool, made_trace())
    (spool / ticket_name("mini", "7")).write_text(ticket_to_json(replace(made_ticket(), user="alice")))
    summary = ingested(db, spool, JOB)

    assert (1, 0) == (summary.runs_added, db.table("tickets").count)
    assert "it is of user alice" in reasons(summary)[0]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_no_ticket_empties_the_history_of_others(db: Database, spool: Path, tmp_path: Path, number: str) -> None:
    """A number that is none is refused wherever it stands, and no query reads all documents."""
    for job_id in ("7", "8"):
        spooled(spool, made_trace(replace(HEADER, job_id=job_id)))
        ticket = json.loads(ticket_to_json(replace(made_ticket(), job_id=job_id)))
        text = json.dumps(ticket | ({"colour": 1e999} if job_id == "8" else {})).replace("Infinity", number)
        (spool / ticket_name("mini", job_id)).write_text(text)
    ingested(db, spool, JOB, replace(JOB, job_id="8", shown_id="8"))
    db.execute("UPDATE tickets SET document = 'NaN' WHERE job_id = '8'")
    db.conn.commit()
    found = facts_of_earlier_jobs(
        tmp_path / "corpus.db",
        user=USER,
        script_path="/home/alice/train.py",
        script_sha256="ab" * 32,
        arguments=("--epochs", "5"),
    )

    assert "resnet50" == found["model_name"].value


def test_an_array_that_is_not_the_jobs_is_refused(db: Database, spool: Path) -> None:
    """A trace must not bring a ticket of its own to another user's array."""
    spooled(spool, made_trace(replace(HEADER, array_job_id="5", array_task="1")))
    (spool / ticket_name("mini", "5")).write_text(ticket_to_json(replace(made_ticket(), job_id="5")))

    assert ["it says task 1 of array 5; accounting says 7"] == reasons(ingested(db, spool, JOB))
    assert 0 == db.table("tickets").count


def test_one_attempt_is_one_run(db: Database, spool: Path) -> None:
    """A thousand restarts of a job that accounting saw start once are one run, whichever came first."""
    for restart in range(1000):
        spooled(spool, made_trace(replace(HEADER, restart=restart), epochs=1))
    summary = ingested(db, spool, JOB)

    assert (1, 999) == (summary.runs_added, len(summary.rejected))
    assert "accounting knows one attempt" in reasons(summary)[0]


H200 = TracedGpu(uuid="GPU-1", name="NVIDIA H200", has_energy_counter=True)
RTX = TracedGpu(uuid="GPU-1", name="NVIDIA GeForce RTX 3090", has_energy_counter=True)


@pytest.mark.parametrize(
    ("header", "job", "said"),
    [
        ({"gpus": HEADER.gpus * 64}, JOB, "64 GPUs are measured on one node of a job that was given 1"),
        ({}, replace(JOB, gpus=0), "a job that was given 0"),
        ({"node": "n9"}, JOB, "node n9 is none of its job's (n1)"),
        ({"nodes": 2}, JOB, "one of 2 nodes of a job that had 1"),
        ({"user": "alice"}, JOB, "it names user alice"),
        ({"gpus": (H200,)}, replace(JOB, gpu_types=("rtx3090",)), "has no NVIDIA H200 by Slurm"),
        ({"gpus": (H200,), "node": "rtx1"}, replace(JOB, node_list="rtx1"), "has no NVIDIA H200 by Slurm"),
        ({"started_at": START_S + 1000}, JOB, "goes on after job 7 ended"),
        ({"started_at": START_S - 1000}, JOB, "begins before job 7 started"),
    ],
)
def test_accounting_bounds_what_a_trace_says(
    db: Database, spool: Path, header: dict[str, Any], job: AccountedJob, said: str
) -> None:
    """User, nodes, GPUs, their type and the job's times are Slurm's word."""
    spooled(spool, made_trace(replace(HEADER, **header), epochs=1))
    hardware = Hardware(nodes={"rtx1": frozenset({"NVIDIA GeForce RTX 3090"})})
    summary = ingested(db, spool, job, hardware=hardware)

    assert said in reasons(summary)[0]
    assert 0 == summary.runs_added


@pytest.mark.parametrize(
    ("header", "job"),
    [
        ({"gpus": (RTX,)}, replace(JOB, gpu_types=("rtx3090",))),
        ({"gpus": (RTX,), "node": "rtx1"}, replace(JOB, node_list="rtx1")),
        ({}, replace(JOB, gpu_types=("a100",))),
        ({}, replace(JOB, gpu_types=("our-own-name",))),
        ({"node": "n2"}, replace(JOB, node_list="n[1-3],m4")),
        ({"node": "n2"}, replace(JOB, node_list="n1", nodes=2)),
        ({}, replace(JOB, node_list="", gpus=None)),
        ({"user": str(UID)}, JOB),
    ],
)
def test_what_accounting_allows_is_believed(
    db: Database, spool: Path, header: dict[str, Any], job: AccountedJob
) -> None:
    """Sites write GPU types in many ways, and some do not track GPUs at all."""
    spooled(spool, made_trace(replace(HEADER, **header), epochs=1))
    hardware = Hardware(nodes={"rtx1": frozenset({"NVIDIA GeForce RTX 3090"})})

    assert [] == reasons(ingested(db, spool, job, hardware=hardware))


def test_gpus_of_all_nodes_are_bounded_together(db: Database, spool: Path) -> None:
    """Each node of a job with two GPUs on two nodes cannot have both."""
    for rank, name in enumerate(("n1", "n2")):
        gpus = tuple(replace(HEADER.gpus[0], uuid=f"GPU-{name}-{number}") for number in range(2))
        header = replace(HEADER, node=name, node_rank=rank, nodes=2, gpus=gpus)
        spooled(spool, made_trace(header, epochs=1))
    summary = ingested(db, spool, replace(JOB, nodes=2, node_list="n[1-2]", gpus=2))

    assert ["4 GPUs are measured on all nodes of a job that was given 2"] == reasons(summary)


@pytest.mark.parametrize("factor", [1.5, 2.5])
def test_no_board_draws_more_than_it_can(db: Database, spool: Path, factor: float) -> None:
    """880 W of a 220 W board, by power or by a counter that runs too fast, are no measurement."""
    gpu = TracedGpu(uuid="GPU-1", name="NVIDIA GeForce RTX 3090", has_energy_counter=True)
    trace = made_trace(replace(HEADER, gpus=(gpu,)), epochs=2)
    watts = 350.0 * factor
    samples = tuple(
        replace(
            sample,
            gpus=(replace(sample.gpus[0], power_w=watts, energy_counter_j=watts * (sample.time_s - START_S)),),
        )
        for sample in trace.samples
    )
    spooled(spool, replace(trace, samples=samples, epochs=(), footer=None))

    (reason,) = reasons(ingested(db, spool, JOB))

    assert any(said in reason for said in ("impossible reading", "can draw"))


def test_a_finished_run_is_not_rewritten(db: Database, spool: Path) -> None:
    """A later file of the same name and job changes nothing, and is not read a third time."""
    spooled(spool, made_trace(epochs=5))
    ingested(db, spool, JOB)
    before = list(db.query("SELECT * FROM runs"))
    spooled(spool, made_trace(epochs=2))
    second, third = ingested(db, spool, JOB), ingested(db, spool, JOB)

    assert ["its run has ended and is in the corpus; it is not written anew"] == reasons(second)
    assert (0, 0, 1) == (second.runs_updated, third.traces_read, third.rejected_before)
    assert before == list(db.query("SELECT * FROM runs"))


def test_a_cut_run_is_mended_for_a_week_only(db: Database, spool: Path) -> None:
    """The end of a trace may reach the spool late."""
    spooled(spool, made_trace(epochs=2, exit_status=None))
    ingested(db, spool, JOB)
    spooled(spool, made_trace(epochs=5))
    late = ingested(db, spool, JOB, now_s=NOW_S + 8 * 86400)
    db.execute("DELETE FROM rejected")

    assert ["its run has ended and is in the corpus; it is not written anew"] == reasons(late)
    assert 1 == ingested(db, spool, JOB).runs_updated


def test_a_link_in_place_of_a_users_folder_is_not_followed(db: Database, spool: Path, tmp_path: Path) -> None:
    """Nor is one that takes the folder's place between listing and reading, which the file's own path shows."""
    (tmp_path / "elsewhere").mkdir()
    spooled(tmp_path / "elsewhere", made_trace())
    (spool / "alice").symlink_to(tmp_path / "elsewhere")

    assert (0, ()) == (ingested(db, spool, JOB).runs_added, ingested(db, spool, JOB).rejected)


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**40), max_value=10**40),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(alphabet=st.characters(min_codepoint=0, max_codepoint=0x10FFFF), max_size=20),
    st.just([]),
    st.just({}),
    st.recursive(st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=5),
)


def _places(plain: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, value in items:
        yield from _places(value, (*path, key))


def _put(plain: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(plain) if isinstance(plain, dict) else list(plain)
    copy[path[0]] = _put(copy[path[0]], path[1:], value)
    return copy


_FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_FUZZ
@given(data=st.data())
def test_any_value_anywhere_in_a_ticket_leaves_the_run(tmp_path: Path, data: st.DataObject) -> None:
    """The run is stored whatever its ticket holds, and everything can be listed, exported and compared afterwards."""
    plain = json.loads(ticket_to_json(made_ticket()))
    path = data.draw(st.sampled_from(list(_places(plain))))
    ticket = json.dumps(_put(plain, path, data.draw(_VALUES)))
    _survives(tmp_path, ticket, trace_text(made_trace(epochs=1)))


@_FUZZ
@given(data=st.data())
def test_any_value_anywhere_in_a_trace_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Likewise for every line of a trace; another job's run beside it is always stored."""
    lines = [json.loads(line) for line in trace_text(made_trace(epochs=1)).splitlines()]
    for _ in range(data.draw(st.integers(min_value=1, max_value=3))):
        number = data.draw(st.integers(min_value=0, max_value=len(lines) - 1))
        path = data.draw(st.sampled_from(list(_places(lines[number]))))
        lines[number] = _put(lines[number], path, data.draw(_VALUES))
    _survives(tmp_path, None, "".join(json.dumps(line) + "\n" for line in lines))


@_FUZZ
@given(content=st.binary(max_size=300), cut=st.integers(min_value=0, max_value=2000))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes, cut: int) -> None:
    """A trace with any bytes in its middle."""
    whole = trace_text(made_trace(epochs=1)).encode()
    _survives(tmp_path, None, whole[:cut] + content + whole[cut:])


def _survives(tmp_path: Path, ticket: str | None, trace: str | bytes) -> None:
    """Ingest a doubtful file beside an honest one, and look at all that came of it."""
    folder = tmp_path / os.urandom(8).hex()
    spool = folder / "spool"
    spool.mkdir(parents=True)
    data = trace if isinstance(trace, bytes) else trace.encode("utf-8", "surrogatepass")
    (spool / "mini-7-0-n1.trace.jsonl").write_bytes(data)
    spooled(spool, made_trace(replace(HEADER, job_id="8"), epochs=1))
    if ticket is not None:
        (spool / ticket_name("mini", "7")).write_text(ticket, encoding="utf-8", errors="surrogatepass")
    with store.writing(folder / "corpus.db") as db:
        summary = ingested(db, spool, JOB, replace(JOB, job_id="8", shown_id="8"))
        found = list(rows.runs(db))
        export_csv(found, io.StringIO())

        assert "8" in {run.job_id for run in found}
        assert not any("fault of gsbatch" in reason for reason in reasons(summary)), reasons(summary)
        assert ticket is None or "7" in {run.job_id for run in found}
        assert fits_of([run for run in found if run.predicted], "all") is not None
