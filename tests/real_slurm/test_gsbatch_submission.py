"""gsbatch in place of sbatch on a real Slurm: what Slurm itself decides is asked of Slurm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from advisor.submission.ticket import Ticket, ticket_from_json, ticket_name
from tests.cli.gsbatch_calls import FACTS
from tests.real_slurm.cluster import Cluster

pytestmark = pytest.mark.real_slurm

TRAIN = """\
import os, sys
print("arguments", sys.argv[1:])
print("ran", os.path.abspath(__file__), "in", os.getcwd())
print("gpus", os.environ.get("SLURM_JOB_GPUS"), "marker", os.environ.get("GSBATCH_RECORDED"))
sys.exit(int(os.environ.get("STATUS", "0")))
"""


@dataclass(frozen=True, slots=True)
class User:
    """A user of the cluster with a folder of the test's own."""

    cluster: Cluster
    site: Path
    name: str
    folder: Path

    def __call__(
        self, *words: str, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Type gsbatch in the folder."""
        argv: list[str | Path] = [self.site / "gsbatch", *words]
        return self.cluster.run_as(self.name, argv, cwd=self.folder, stdin=stdin, env=env)

    def submitted(self, *words: str, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
        """Submit, and return the id of the job."""
        done = self(*words, stdin=stdin, env=env)
        assert done.stdout.startswith("Submitted batch job "), done.stderr
        assert 0 == done.returncode
        return done.stdout.split()[-1]

    def ticket(self, job_id: str) -> Ticket | None:
        """What was kept of a submission, read as root reads it: a ticket of another user is no job's to believe."""
        path = self.spool / ticket_name("mini", job_id)
        return ticket_from_json(path.read_text(encoding="utf-8")) if path.exists() else None

    @property
    def spool(self) -> Path:
        """Where the user's traces and tickets lie."""
        return self.cluster.home(self.name) / ".local/share/gsbatch/spool"

    def output(self, job_id: str) -> list[str]:
        """What the job printed."""
        return (self.folder / f"slurm-{job_id}.out").read_text(encoding="utf-8").splitlines()

    def shown(self, job_id: str, *fields: str) -> list[str]:
        """Fields of the job as the controller has them; accounting hears of some of them later."""
        text = self.cluster.run(["scontrol", "--oneliner", "show", "job", job_id]).stdout
        words = dict(word.partition("=")[::2] for word in text.split())
        return [words[field] for field in fields]

    def job_ids(self) -> set[str]:
        """All jobs that the controller knows."""
        text = self.cluster.run(["scontrol", "--oneliner", "show", "job"], check=False).stdout
        return {word for word in text.split() if word.startswith("JobId=")}


def _user(cluster: Cluster, site: Path, name: str, test: str) -> User:
    folder = cluster.home(name) / test
    assert 0 == cluster.run_as(name, ["mkdir", str(folder)]).returncode
    cluster.run_as(name, ["tee", str(folder / "train.py")], stdin=TRAIN)
    return User(cluster, site, name, folder)


@pytest.fixture
def alice(cluster: Cluster, site: Path, request: pytest.FixtureRequest) -> User:
    """A user with two accounts, one of which may use hopper."""
    return _user(cluster, site, "alice", f"gsbatch-{abs(hash(request.node.name))}")


@pytest.fixture
def bob(cluster: Cluster, site: Path, request: pytest.FixtureRequest) -> User:
    """A user who may not use hopper."""
    return _user(cluster, site, "bob", f"gsbatch-{abs(hash(request.node.name))}")


def test_a_training_runs_where_advice_says_and_is_measured(alice: User) -> None:
    """The loop up to the trace: picks accepted, name and output as with sbatch, ticket and trace of one job."""
    job_id = alice.submitted(*FACTS, "train.py", "--epochs", "2 of 3")

    assert "COMPLETED" == alice.cluster.wait_for_job(job_id)
    ticket = alice.ticket(job_id)
    assert ticket is not None
    assert ticket.prediction is not None
    placement = ticket.prediction.placement
    partition, name, cpus, requested = alice.shown(job_id, "Partition", "JobName", "NumCPUs", "TresPerNode")
    traces = list(alice.spool.glob(f"mini-{job_id}-*.trace.jsonl"))
    output = alice.output(job_id)
    assert [placement.partition, "train.py", str(placement.cpus)] == [partition, name, cpus]
    assert requested.endswith(f"gpu:{placement.gres_type}:1")
    assert "arguments ['--epochs', '2 of 3']" == output[0]
    assert f"ran {alice.folder}/train.py in {alice.folder}" == output[1]
    assert output[2].endswith("marker None")
    assert 1 == len(traces)
    assert ticket.ticket_id == json.loads(traces[0].read_text(encoding="utf-8").splitlines()[0])["ticket_id"]


def test_parsable_is_the_id_alone(alice: User) -> None:
    """JID=$(gsbatch --parsable ...) holds a number."""
    done = alice("--parsable", *FACTS, "train.py")

    assert done.stdout.strip().isdigit()
    assert alice.ticket(done.stdout.strip()) is not None


def test_quiet_tells_nothing_and_keeps_the_ticket(alice: User) -> None:
    """With -Q sbatch tells no job id; a ticket is there all the same."""
    before = set(alice.spool.glob("*.ticket.json"))

    done = alice("-Q", *FACTS, "train.py")

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert 1 == len(set(alice.spool.glob("*.ticket.json")) - before)


def test_a_dotted_path_is_the_callers_under_chdir(alice: User) -> None:
    """With -D other, ./x is the x beside the caller, not other/x: the very text that the real sbatch takes."""
    for name in ("train.py", "bin/train.py"):
        script = f"#!/bin/sh\necho {name}\n"
        alice.cluster.run_as("alice", ["mkdir", "-p", str((alice.folder / name).parent)])
        alice.cluster.run_as("alice", ["tee", str(alice.folder / name)], stdin=script)
    words = ("--parsable", "-H", "-D", "bin", "./train.py")
    by_sbatch = alice.cluster.run_as("alice", ["sbatch", *words], cwd=alice.folder).stdout.strip()
    by_gsbatch = alice("--no-probe", "--no-record", *words).stdout.strip()

    texts = [
        alice.cluster.run(["scontrol", "write", "batch_script", job_id, "-"]).stdout
        for job_id in (by_sbatch, by_gsbatch)
    ]
    alice.cluster.run(["scancel", by_sbatch, by_gsbatch])
    assert texts[0] == texts[1]


def test_test_only_submits_and_writes_nothing(alice: User) -> None:
    """The estimate is on stderr, as sbatch gives it."""

    def state() -> tuple[set[str], set[Path]]:
        home = alice.cluster.home("alice")
        kept = [*alice.folder.rglob("*"), *alice.spool.glob("*.ticket.json"), *(home / ".cache").rglob("*")]
        return alice.job_ids(), set(kept)

    before = state()

    done = alice("--test-only", *FACTS, "train.py")

    assert (0, "") == (done.returncode, done.stdout)
    assert "to start at" in done.stderr
    assert before == state()


def test_advice_says_when_slurm_would_start_the_first_placements(alice: User) -> None:
    """Asked of Slurm with the very script that would be submitted; nothing is submitted for it."""
    before = alice.job_ids()

    done = alice("--json", *FACTS, "train.py")

    starts = [item["expected_start"] for item in json.loads(done.stdout)["placements"]]
    assert starts[0] is not None
    datetime.fromisoformat(starts[0])
    assert before == alice.job_ids()


def test_a_wrapped_commands_status_is_the_jobs(alice: User) -> None:
    """State and exit code are the command's, under the recorder too; the job is named wrap."""
    job_id = alice.submitted(*FACTS, "--wrap", "echo hello; exit 3")

    assert "FAILED" == alice.cluster.wait_for_job(job_id)
    assert ["3:0", "wrap"] == alice.shown(job_id, "ExitCode", "JobName")
    assert ["hello"] == alice.output(job_id)
    assert list(alice.spool.glob(f"mini-{job_id}-*.trace.jsonl"))


def test_wait_ends_with_the_jobs_status(alice: User) -> None:
    """--wait is sbatch's, byte for byte."""
    done = alice("--wait", "--export=ALL", *FACTS, "train.py", env={"STATUS": "5"})

    assert 5 == done.returncode
    assert done.stdout.startswith("Submitted batch job ")


def test_a_script_on_standard_input_runs(alice: User) -> None:
    """It is named as sbatch names it, and recorded."""
    job_id = alice.submitted(*FACTS, stdin='#!/bin/bash\n#SBATCH --comment="from stdin"\necho "input $#"\n')

    assert "COMPLETED" == alice.cluster.wait_for_job(job_id)
    assert ["sbatch"] == alice.shown(job_id, "JobName")
    assert ["input 0"] == alice.output(job_id)


def test_a_batch_script_keeps_its_directives_arguments_and_status(alice: User) -> None:
    """Directives, $0's own arguments, set -e and exit status are as they were."""
    script = '#!/bin/bash -e\n#SBATCH --partition=gtx\n#SBATCH --job-name=mine\necho $# "$2"\nfalse\necho never\n'
    alice.cluster.run_as("alice", ["tee", str(alice.folder / "job.sh")], stdin=script)

    job_id = alice.submitted(*FACTS, "job.sh", "a", "b c")

    assert "FAILED" == alice.cluster.wait_for_job(job_id)
    assert ["gtx", "mine", "1:0"] == alice.shown(job_id, "Partition", "JobName", "ExitCode")
    assert ["2 b c"] == alice.output(job_id)


@pytest.mark.parametrize(
    ("words", "env", "partition"),
    [
        (("-p", "ampere"), {"SBATCH_PARTITION": "gtx"}, "ampere"),
        ((), {"SBATCH_PARTITION": "gtx"}, "gtx"),
        ((), {}, "rtx"),
    ],
)
def test_command_line_beats_environment_beats_directive(
    alice: User, words: tuple[str, ...], env: dict[str, str], partition: str
) -> None:
    """No pick of ours gets in between."""
    script = "#!/bin/sh\n#SBATCH --partition=rtx --time=5\ntrue\n"
    alice.cluster.run_as("alice", ["tee", str(alice.folder / "job.sh")], stdin=script)

    job_id = alice.submitted(*words, *FACTS, "job.sh", env=env)

    assert [partition] == alice.shown(job_id, "Partition")
    alice.cluster.wait_for_job(job_id)


def test_an_array_is_one_submission_with_one_ticket(alice: User) -> None:
    """Each task is measured on its own."""
    job_id = alice.submitted("--array=0-1", *FACTS, "train.py")

    assert "COMPLETED" == alice.cluster.wait_for_job(job_id)
    headers = [
        json.loads(path.read_text(encoding="utf-8").splitlines()[0]) for path in alice.spool.glob("*.trace.jsonl")
    ]
    tasks = [header["array_task"] for header in headers if header["array_job_id"] == job_id]
    assert ["0", "1"] == sorted(tasks)
    assert alice.ticket(job_id) is not None


def test_bob_is_not_sent_to_hopper(alice: User, bob: User) -> None:
    """What a user's accounts do not allow is rejected with the reason, not found out by sbatch."""
    for_alice = json.loads(alice("--json", "--objective=time", *FACTS, "train.py").stdout)
    for_bob = json.loads(bob("--json", "--objective=time", *FACTS, "train.py").stdout)

    reasons = {item["partition"]: item["reason"] for item in for_bob["rejected"]}
    assert "hopper" in {item["partition"] for item in for_alice["placements"]}
    assert "hopper" not in {item["partition"] for item in for_bob["placements"]}
    assert "hopper" in reasons
    job_id = bob.submitted(*FACTS, "train.py")
    assert "COMPLETED" == bob.cluster.wait_for_job(job_id)


def test_picks_that_slurm_refuses_are_left_out(alice: User) -> None:
    """A described cluster that is not this one: the job still runs, in the default partition."""
    described = (
        'name = "elsewhere"\n[[partitions]]\nname = "nowhere"\n[[partitions.nodes]]\ncount = 1\ncpus = 8\n'
        'memory = "64G"\ngres = "gpu:a100:1"\n'
    )
    alice.cluster.run_as("alice", ["tee", str(alice.folder / "other.toml")], stdin=described)

    done = alice("--inventory", "other.toml", *FACTS, "train.py")

    job_id = done.stdout.split()[-1]
    assert 0 == done.returncode
    assert "sbatch refused the job as advised" in done.stderr
    assert "invalid partition" in done.stderr.lower()
    assert "COMPLETED" == alice.cluster.wait_for_job(job_id)
    assert ["debug"] == alice.shown(job_id, "Partition")


@pytest.fixture
def inactive(cluster: Cluster) -> Iterator[Callable[[str], None]]:
    """Take partitions out of service for the length of a test."""
    names: list[str] = []

    def take_out(name: str) -> None:
        names.append(name)
        cluster.run(["scontrol", "update", f"partitionname={name}", "state=inactive"])

    yield take_out
    for name in names:
        cluster.run(["scontrol", "update", f"partitionname={name}", "state=up"])


def test_a_partition_that_went_down_within_the_cache_is_passed_over(
    alice: User, inactive: Callable[[str], None]
) -> None:
    """The job goes to the next placement with a GPU, not to a CPU partition; the ticket is of that placement."""
    advised = json.loads(alice("--json", *FACTS, "train.py").stdout)["recommended"]["partition"]
    inactive(advised)

    done = alice(*FACTS, "train.py")

    job_id = done.stdout.split()[-1]
    ticket = alice.ticket(job_id)
    assert "COMPLETED" == alice.cluster.wait_for_job(job_id)
    partition, gres = alice.shown(job_id, "Partition", "TresPerNode")
    assert ticket is not None
    assert ticket.prediction is not None
    assert partition == ticket.prediction.placement.partition != advised
    assert "gpu" in gres
    assert f"sbatch refused the job as advised, 1 x {ticket.prediction.placement.gpu.name}" not in done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.parametrize(
    ("words", "env", "partition"),
    [((), {"SLURM_CLUSTERS": "mini"}, None), (("-M", "mini"), {}, None), (("-w", "c3090n2"), {}, "rtx")],
)
def test_naming_this_cluster_or_a_node_leaves_the_picks(
    alice: User, words: tuple[str, ...], env: dict[str, str], partition: str | None
) -> None:
    """The job has a GPU, in the partition of the node that was named."""
    done = alice("--hold", *words, *FACTS, "train.py", env=env)

    job_id = done.stdout.removeprefix("Submitted batch job ").split()[0]
    where, gres = alice.shown(job_id, "Partition", "TresPerNode")
    alice.cluster.run(["scancel", job_id])
    assert "gpu" in gres
    assert where == partition or partition is None


def test_as_sbatch_on_path_it_submits_and_records(alice: User) -> None:
    """As sites install it: a job submits another one by the name sbatch, and each is recorded as its own."""
    programs = alice.folder / "bin"
    alice.cluster.run_as("alice", ["mkdir", str(programs)])
    alice.cluster.run_as("alice", ["ln", "-s", str(alice.site / "gsbatch"), str(programs / "sbatch")])
    inner = "sbatch --no-probe --parsable -o inner.out -n1 --mem=200 --wrap 'echo inner $(hostname)'"
    alice.cluster.run_as("alice", ["tee", str(alice.folder / "outer.sh")], stdin=f"#!/bin/bash\n{inner} > inner.id\n")
    path = f"{programs}:/usr/bin:/bin"

    done = alice.cluster.run_as(
        "alice", ["sbatch", "--no-probe", "-n1", "--mem=200", "outer.sh"], cwd=alice.folder, env={"PATH": path}
    )

    job_id = done.stdout.split()[-1]
    assert "COMPLETED" == alice.cluster.wait_for_job(job_id)
    inner_id = (alice.folder / "inner.id").read_text(encoding="utf-8").strip()
    assert "COMPLETED" == alice.cluster.wait_for_job(inner_id)
    assert (alice.folder / "inner.out").read_text(encoding="utf-8").startswith("inner ")
    traces = [list(alice.spool.glob(f"mini-{one}-*.trace.jsonl")) for one in (job_id, inner_id)]
    assert [1, 1] == [len(found) for found in traces]


def test_words_that_slurm_refuses_are_refused_in_its_words(alice: User) -> None:
    """Status 1, sbatch's message once, nothing on stdout, no ticket."""
    before = sorted(alice.spool.glob("*.ticket.json"))

    done = alice("-p", "nowhere", *FACTS, "train.py")

    assert (1, "") == (done.returncode, done.stdout)
    assert 1 == done.stderr.count("invalid partition specified: nowhere")
    assert before == sorted(alice.spool.glob("*.ticket.json"))


def test_a_job_submitted_from_a_job_starts_clean(alice: User) -> None:
    """The enclosing job's variables do not reach the new one."""
    inner = f"{alice.site}/gsbatch --no-probe --wrap 'echo \"$POISON ${{SLURM_CPU_BIND-clean}}\"'"

    job_id = alice.submitted("--no-probe", "--wrap", f"export POISON=kept SLURM_CPU_BIND=x; {inner}")

    assert "COMPLETED" == alice.cluster.wait_for_job(job_id)
    inner_id = next(line for line in alice.output(job_id) if line.startswith("Submitted")).split()[-1]
    assert "COMPLETED" == alice.cluster.wait_for_job(inner_id)
    assert ["kept clean"] == alice.output(inner_id)


@pytest.fixture
def controller_down(cluster: Cluster) -> Iterator[None]:
    """An outage for the length of a test."""
    cluster.stop_controller()
    yield
    cluster.restart_controller()


def test_with_the_controller_down_sbatch_has_the_last_word(alice: User, controller_down: None) -> None:
    """One line of ours, then sbatch's own failure and status; nothing is kept."""
    before = sorted(alice.spool.glob("*.ticket.json"))

    done = alice("-p", "gtx", *FACTS, "train.py", env={"XDG_CACHE_HOME": str(alice.folder / "cache")})

    assert (1, "") == (done.returncode, done.stdout)
    assert "gsbatch: no advice: " in done.stderr
    assert "sbatch: error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert before == sorted(alice.spool.glob("*.ticket.json"))
