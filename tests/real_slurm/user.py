"""A user of the test cluster with a folder of her own: what she writes, submits and finds afterwards."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from advisor.telemetry.reading import parse_trace
from advisor.telemetry.trace import Trace
from tests.cli.gsbatch_calls import FACTS
from tests.real_slurm.cluster import Cluster

READINGS = Path(__file__).parents[1] / "data" / "gpu_readings" / "one_gpu_steady.jsonl"


@dataclass(frozen=True, slots=True)
class User:
    """Alice, in a folder of the test's own."""

    cluster: Cluster
    site: Path
    folder: Path

    def write(self, name: str, text: str) -> None:
        """Write a file as she would."""
        self.cluster.run_as("alice", ["tee", str(self.folder / name)], stdin=text)

    def run(self, *words: str) -> str:
        """A command of hers, with recorded GPU readings in place of NVML; what it printed."""
        done = self.cluster.run_as(
            "alice", words, cwd=self.folder, env={"GSBATCH_GPU_READINGS": str(self.folder / READINGS.name)}
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout

    def sbatch(self, *words: str) -> str:
        """Submit to the partition without advice, so that both ways ask for the same."""
        return self.run("sbatch", "--parsable", "-p", "debug", "-n1", "--mem=500", *words).strip()

    def gsbatch(self, *words: str, where: tuple[str, ...] = ("-p", "debug", "-n1", "--mem=500")) -> str:
        """The same under the recorder."""
        return self.run(str(self.site / "gsbatch"), "--parsable", *FACTS, *where, *words).strip()

    def output(self, job_id: str) -> str:
        """What the job printed, without slurmstepd's own lines, which name the job."""
        lines = (self.folder / f"slurm-{job_id}.out").read_text(encoding="utf-8").splitlines()
        return "\n".join(line for line in lines if not line.startswith(("slurmstepd", "srun:")))

    def accounting(self, job_id: str) -> list[str]:
        """State and exit code of the job and of each of its steps."""
        text = self.cluster.run(["sacct", "-n", "-P", "--format=JobID,State,ExitCode", f"--jobs={job_id}"]).stdout
        return [line.removeprefix(job_id) for line in text.splitlines()]

    def traces(self, job_id: str) -> list[Trace]:
        """The traces of a job or of all tasks of an array, by file name."""
        spool = self.cluster.home("alice") / ".local/share/gsbatch/spool"
        paths = sorted([*spool.glob(f"mini-{job_id}-*.trace.jsonl"), *spool.glob(f"mini-{job_id}_*.trace.jsonl")])
        return [parse_trace(path.read_text(encoding="utf-8")) for path in paths]


def make_user(cluster: Cluster, site: Path, name: str) -> User:
    """Alice, in a new folder of this name, with the recorded GPU readings in it."""
    folder = cluster.home("alice") / name
    assert 0 == cluster.run_as("alice", ["mkdir", str(folder)]).returncode
    user = User(cluster, site, folder)
    user.write(READINGS.name, READINGS.read_text(encoding="utf-8"))
    return user


def wait_until_running(cluster: Cluster, job_id: str) -> None:
    """Wait until the controller says that a job runs."""
    wait_until(lambda: _shown(cluster, job_id, "%t") == "R", f"job {job_id} runs")


def requeue(cluster: Cluster, job_id: str) -> None:
    """Requeue a running job, and have it begin again as soon as that can be told from its first attempt."""
    # Accounting counts in seconds: two attempts that begin within one cannot be told apart.
    wait_until(lambda: _shown(cluster, job_id, "%M") not in {"0:00", "0:01"}, f"job {job_id} has run for 2 s")
    cluster.run(["scontrol", "requeue", job_id])
    requeued_s = int(time.time())
    wait_until(lambda: _shown(cluster, job_id, "%t") == "PD", f"job {job_id} is pending again")
    # The first attempt's slurmstepd must be gone from the node, or the second is launched in vain.
    wait_until(lambda: not any(f"slurmstepd: [{job_id}" in title for title in _titles()), "its slurmstepd has ended")
    # slurmd launches nothing of the second in which it was told to kill the job: it compares whole seconds.
    wait_until(lambda: int(time.time()) >= requeued_s + 2, "slurmd takes the job again")
    cluster.run(["scontrol", "update", f"jobid={job_id}", "starttime=now"])


def wait_until(holds: Callable[[], bool], what: str, *, within_s: float = 60.0) -> None:
    """Look again and again until something holds."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, f"in vain until {what}"
        time.sleep(0.1)


def _shown(cluster: Cluster, job_id: str, what: str) -> str:
    return cluster.run(["squeue", "--noheader", f"--format={what}", f"--jobs={job_id}"]).stdout.strip()


def _titles() -> Iterator[str]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            yield " ".join(process.cmdline())
