"""Ingest and gseff against a real Slurm's accounting: whose job it was, which attempt, how it ended."""

from __future__ import annotations

import json
import os
import pwd
import time
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.cli.gsadmin import main as gsadmin
from advisor.cli.gseff import main as gseff
from advisor.corpus import rows, store
from advisor.corpus.accounting import AccountedJob, accounted_jobs
from advisor.corpus.run import Run
from advisor.submission.ticket import ticket_name, ticket_to_json
from advisor.telemetry.trace import TraceHeader
from tests.cli.site import Site, make_site
from tests.corpus.measured import HEADER, made_ticket, made_trace, on_nodes, spooled
from tests.real_slurm.cluster import Cluster
from tests.real_slurm.config import CLUSTER_NAME
from tests.real_slurm.user import requeue

pytestmark = pytest.mark.real_slurm


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """An admin's site on the cluster, set up, with the real sacct."""
    site = make_site(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("SLURM_CONF", str(cluster.slurm_conf))
    assert 0 == site.run(gsadmin, "init").status
    return site


def submit(cluster: Cluster, *words: str, user: str = "alice") -> str:
    """Submit a job and return its id."""
    done = cluster.run_as(user, ["sbatch", "--parsable", "--output=/dev/null", *words])
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


def measured(site: Site, job: AccountedJob, owner: str = "alice", **header: object) -> TraceHeader:
    """Write the trace that a recorder in this job would have left, as its owner."""
    uid = pwd.getpwnam(owner).pw_uid
    assert job.started_at is not None
    words: dict[str, object] = {"cluster": CLUSTER_NAME, "job_id": job.job_id, "uid": uid, "user": owner}
    node = str(header.get("node", job.node_list))
    gpu = replace(HEADER.gpus[0], name="NVIDIA GeForce RTX 3090" if "3090" in node else "NVIDIA GeForce RTX 3070")
    words |= {"started_at": job.started_at + 0.5, "node": node, "gpus": (gpu,)}
    made = replace(HEADER, **(words | header))  # type: ignore[arg-type]
    path = spooled(site.spool, made_trace(made, epochs=1))
    os.chown(path, uid, -1)
    return made


def accounted(job_id: str) -> list[AccountedJob]:
    """The attempts that have started, as accounting knows them."""
    return [job for job in accounted_jobs([job_id]) if job.started_at is not None]


def wait_until_running(cluster: Cluster, job_id: str) -> None:
    """Wait until accounting knows that a job runs."""
    deadline_s = time.monotonic() + 30
    while cluster.job_states(job_id) != ["RUNNING"]:
        assert time.monotonic() < deadline_s, cluster.job_states(job_id)
        time.sleep(0.1)


def stored(site: Site) -> list[Run]:
    """The corpus's runs, oldest first."""
    with store.reading(site.corpus) as db:
        return sorted(rows.runs(db), key=lambda run: (run.started_at, run.job_id))


def test_finished_job_is_joined_with_accounting(cluster: Cluster, site: Site) -> None:
    """State, user, account and allocation of the row are Slurm's; gseff tells the same before and after ingest."""
    job_id = submit(cluster, "-p", "rtx", "--gres=gpu:1", "--mem=2G", "-A", "small", "--wrap", "sleep 1")
    assert "COMPLETED" == cluster.wait_for_job(job_id)
    measured(site, accounted(job_id)[0], partition="rtx")
    ticket = site.spool / ticket_name(CLUSTER_NAME, job_id)
    ticket.write_text(ticket_to_json(replace(made_ticket(), job_id=job_id, user="alice")))
    os.chown(ticket, pwd.getpwnam("alice").pw_uid, -1)
    before = site.run(gseff, job_id)
    summary = json.loads(site.run(gsadmin, "ingest", "--json").stdout)
    again = json.loads(site.run(gsadmin, "ingest", "--json").stdout)
    after = site.run(gseff, job_id)
    (run,) = stored(site)

    assert (1, 0, []) == (summary["runs_added"], summary["runs_updated"], summary["rejected"])
    assert (0, 1) == (again["traces_read"], again["traces_skipped"])
    assert ("COMPLETED", 0, "alice", "small", "rtx") == (
        run.state,
        run.exit_status,
        run.user,
        run.account,
        run.partition,
    )
    assert (2 * 1024**3, 1, 1) == (run.memory_bytes, run.nodes, run.gpus)
    assert (0, "") == (before.status, before.stderr)
    assert before.stdout == after.stdout
    assert "within" in before.stdout


def test_trace_of_anothers_job_is_refused(cluster: Cluster, site: Site) -> None:
    """Bob's file about alice's job, and a file about a job that Slurm never had, become no rows."""
    job_id = submit(cluster, "-p", "rtx", "--gres=gpu:1", "--wrap", "true")
    cluster.wait_for_job(job_id)
    (job,) = accounted(job_id)
    measured(site, job, owner="bob")
    measured(site, replace(job, job_id="999999"))
    outcome = site.run(gsadmin, "ingest")

    assert [] == stored(site)
    assert f"job {job_id} belongs to alice" in outcome.stdout
    assert "accounting knows no started job 999999" in outcome.stdout


def test_failed_array_tasks_are_runs_of_their_own(cluster: Cluster, site: Site) -> None:
    """Raw ids and shown ids of tasks are Slurm's; exit status 3 reaches the row."""
    job_id = submit(cluster, "-p", "rtx", "--gres=gpu:1", "--array=1-2", "--wrap", "exit 3")
    assert "FAILED" == cluster.wait_for_job(job_id)
    for job in accounted(job_id):
        measured(site, job, array_job_id=job_id, array_task=job.shown_id.split("_")[1])
    site.run(gsadmin, "ingest")
    found = json.loads(site.run(gseff, job_id, "--json").stdout)

    assert [(f"{job_id}_1", "FAILED", 3), (f"{job_id}_2", "FAILED", 3)] == [
        (item["job_id"], item["state"], item["exit_status"]) for item in found
    ]
    assert [f"{job_id}_2"] == [item["job_id"] for item in json.loads(site.run(gseff, f"{job_id}_2", "--json").stdout)]


def test_a_user_cannot_say_more_of_a_job_than_slurm_does(cluster: Cluster, site: Site) -> None:
    """One attempt is one run; other nodes, more GPUs, another model or another array are refused."""
    job_id = submit(cluster, "-p", "rtx", "--gres=gpu:1", "--wrap", "sleep 1")
    cluster.wait_for_job(job_id)
    (job,) = accounted(job_id)
    honest = measured(site, job)
    for restart in range(1, 20):
        measured(site, job, restart=restart)
    measured(site, job, restart=20, gpus=honest.gpus * 64)
    measured(site, job, restart=21, gpus=(replace(honest.gpus[0], name="NVIDIA H200"),))
    measured(site, job, restart=22, node="h100n1", gpus=(replace(honest.gpus[0], name="NVIDIA H100 PCIe"),))
    measured(site, job, restart=23, array_job_id="1", array_task="1")
    measured(site, job, restart=24, nodes=2)
    summary = json.loads(site.run(gsadmin, "ingest", "--json").stdout)
    reasons = " ".join(item["reason"] for item in summary["rejected"])

    assert (1, 24) == (summary["runs_added"], len(summary["rejected"]))
    for said in (
        "accounting knows one attempt",
        "64 GPUs",
        "no NVIDIA H200",
        "none of its job's",
        "array 1",
        "2 nodes",
    ):
        assert said in reasons


def test_a_job_without_gpus_measured_none(cluster: Cluster, site: Site) -> None:
    """The site tracks GPUs, so a job of which accounting names none had none."""
    job_id = submit(cluster, "-p", "debug", "--wrap", "sleep 1")
    cluster.wait_for_job(job_id)
    (job,) = accounted(job_id)
    measured(site, job)
    (rejected,) = json.loads(site.run(gsadmin, "ingest", "--json").stdout)["rejected"]

    assert 0 == job.gpus
    assert "a job that was given 0" in rejected["reason"]


def test_two_nodes_are_one_run(cluster: Cluster, site: Site) -> None:
    """Memory, CPUs and GPUs that Slurm counts over all nodes are per node in the row; energy is of both."""
    gres = "--gres=gpu:nvidia_geforce_rtx_3090:1"
    job_id = submit(cluster, "-p", "rtx", "-N2", gres, "--mem=2G", "--wrap", "sleep 1")
    cluster.wait_for_job(job_id)
    (job,) = accounted(job_id)
    for header in on_nodes(HEADER, ["c3090n1", "c3090n2"]):
        measured(site, job, node=header.node, node_rank=header.node_rank, nodes=2)
    assert [] == json.loads(site.run(gsadmin, "ingest", "--json").stdout)["rejected"]
    (run,) = stored(site)

    assert (2, 2, 2 * 1024**3, 1, "complete") == (run.nodes, run.gpus, run.memory_bytes, run.cpus, run.quality)
    assert pytest.approx(4000.0) == run.energy_j


def test_running_job_is_updated_when_it_has_ended(cluster: Cluster, site: Site) -> None:
    """A job that runs is told as running; after scancel the next ingest stores how it ended."""
    job_id = submit(cluster, "-p", "rtx", "--gres=gpu:1", "--wrap", "sleep 100")
    wait_until_running(cluster, job_id)
    measured(site, accounted(job_id)[0])
    site.run(gsadmin, "ingest")
    running = site.run(gseff, job_id).stdout
    cluster.run(["scancel", job_id])
    cluster.wait_for_job(job_id)
    summary = json.loads(site.run(gsadmin, "ingest", "--json").stdout)

    assert "RUNNING" in running
    assert 1 == summary["runs_updated"]
    assert ["CANCELLED"] == [run.state for run in stored(site)]


def test_attempts_of_a_requeued_job(cluster: Cluster, site: Site) -> None:
    """After scontrol requeue the id is the same; each attempt's trace meets its own line of accounting."""
    job_id = submit(
        cluster, "-p", "rtx", "--gres=gpu:1", "--requeue", "--wrap", "sleep $((1 + 30 * !SLURM_RESTART_COUNT))"
    )
    wait_until_running(cluster, job_id)
    requeue(cluster, job_id)
    assert "COMPLETED" in cluster.wait_for_job(job_id)
    for restart, job in enumerate(sorted(accounted(job_id), key=lambda job: job.started_at or 0)):
        measured(site, job, restart=restart)
    assert [] == json.loads(site.run(gsadmin, "ingest", "--json").stdout)["rejected"]

    assert [(0, "REQUEUED"), (1, "COMPLETED")] == [(run.restart, run.state) for run in stored(site)]


def test_doctor_sees_the_real_slurm(cluster: Cluster, site: Site) -> None:
    """On a working site doctor finds controller, accounting and backend, with their versions."""
    checks = {check["name"]: check for check in json.loads(site.run(gsadmin, "doctor", "--json").stdout)["checks"]}

    assert ["OK", "OK", "OK", "OK"] == [
        checks[name]["verdict"] for name in ("slurm", "slurmctld", "accounting", "backend")
    ]
    assert checks["slurm"]["message"].startswith("slurm")
    assert "UP" in checks["slurmctld"]["message"]


def test_ingest_while_the_controller_is_down(cluster: Cluster, site: Site) -> None:
    """Ingest asks the accounting database, not the controller, and goes on during its outage."""
    job_id = submit(cluster, "-p", "rtx", "--gres=gpu:1", "--wrap", "true")
    cluster.wait_for_job(job_id)
    measured(site, accounted(job_id)[0])
    cluster.stop_controller()
    try:
        summary = json.loads(site.run(gsadmin, "ingest", "--json").stdout)
    finally:
        cluster.restart_controller()

    assert (1, []) == (summary["runs_added"], summary["rejected"])


def test_outage_of_accounting_loses_no_run(cluster: Cluster, site: Site) -> None:
    """A job that ends meanwhile: ingest stores and refuses nothing, and both are right when slurmdbd is back."""
    job_id = submit(cluster, "-p", "rtx", "--gres=gpu:1", "--wrap", "sleep 8; exit 5")
    wait_until_running(cluster, job_id)
    measured(site, accounted(job_id)[0])
    cluster.stop_accounting()
    try:
        during = site.run(gsadmin, "ingest")
        shown = site.run(gseff, job_id)
    finally:
        cluster.start_accounting()
    cluster.wait_for_job(job_id)
    summary = json.loads(site.run(gsadmin, "ingest", "--json").stdout)

    assert (3, "sacctmgr ping") == (during.status, during.stderr.strip()[-13:])
    assert (9, True) == (shown.status, "accounting could not be asked" in shown.stderr)
    assert (1, []) == (summary["runs_added"], summary["rejected"])
    assert [("FAILED", 5)] == [(run.state, run.exit_status) for run in stored(site)]
