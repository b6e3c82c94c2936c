"""One whole loop on the test cluster, as alice types it: the walkthrough's transcript and the test of the main job.

python -m tests.real_slurm.whole_loop > docs/walkthrough.md
"""

from __future__ import annotations

import getpass
import re
import shlex
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from tests.real_slurm.cluster import Cluster
from tests.real_slurm.site import install_site

ROOT = Path(__file__).parents[2]
READINGS = ROOT / "tests" / "data" / "gpu_readings" / "one_gpu_steady.jsonl"
USER = "alice"
_JOB_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Step:
    """A command as it was typed, and what it answered; ``said`` is why it is typed."""

    said: str
    command: str
    returncode: int
    stdout: str
    stderr: str


class Shell:
    """Alice's shell on the cluster: runs commands in her home and keeps what they said."""

    def __init__(self, cluster: Cluster, bin_folder: Path) -> None:
        self._cluster = cluster
        self._bin = bin_folder
        self.steps: list[Step] = []

    def type(self, said: str, command: str) -> Step:
        """Run one command line without a shell; gsbatch's own commands and its Python come first on PATH."""
        path = self._cluster.user_environment(USER)["PATH"]
        done = self._cluster.run_as(
            USER,
            shlex.split(command),
            env={
                "PATH": f"{self._bin}:{path}",
                "COLUMNS": "118",
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "GSBATCH_GPU_READINGS": str(self._cluster.home(USER) / READINGS.name),
            },
            timeout_s=_JOB_TIMEOUT_S,
        )
        step = Step(said, command, done.returncode, done.stdout, done.stderr)
        self.steps.append(step)
        return step


def walk(cluster: Cluster, bin_folder: Path) -> list[Step]:
    """Advise, submit, wait, report, ingest, report, retrain, submit again.

    The cluster's GPUs are plain device files, so recorded readings stand in for NVML (setting ``gpu_readings``).
    """
    home = cluster.home(USER)
    for source in (ROOT / "docs" / "examples" / "train_keras.py", READINGS):
        target = home / source.name
        target.write_bytes(source.read_bytes())
        target.chmod(0o644)
    shell = Shell(cluster, bin_folder)
    shell.type("Which GPU partitions are there, as the advisor sees them?", "gsinfo")
    submitted = shell.type("In place of `sbatch train_keras.py`:", "gsbatch train_keras.py --epochs 6")
    job_id = submitted.stdout.strip().rpartition(" ")[2]
    shell.type("It is an ordinary job:", "squeue")
    shell.type("While it runs or waits:", f"gseff {job_id}")
    cluster.wait_for_job(job_id, _JOB_TIMEOUT_S)
    shell.type("When it has ended, before anything was ingested:", f"gseff {job_id}")
    shell.type("From cron, or by hand:", "gsadmin ingest")
    shell.type("From the corpus:", f"gseff {job_id}")
    shell.type("Learning from what was measured:", "gsadmin retrain")
    second = shell.type("And again; what the user says stands:", "gsbatch -p rtx --mem=8G train_keras.py --epochs 6")
    second_id = second.stdout.strip().rpartition(" ")[2]
    cluster.wait_for_job(second_id, _JOB_TIMEOUT_S)
    shell.type("The second job, beside what was predicted for it:", f"gseff {second_id}")
    return shell.steps


def transcript(steps: list[Step], slurm_version: str, folder: Path) -> str:
    """The steps as Markdown; the cluster's folder, which is another each time, is shown as ``/cluster``."""
    date = datetime.now(timezone.utc).date().isoformat()
    parts = [
        "# A whole loop, as it was printed",
        "",
        f"Written by `python -m tests.real_slurm.whole_loop` on {date}, test cluster with {slurm_version}.",
        "Do not edit. The cluster's GPUs are device files without a GPU: the training runs on the CPU, and recorded",
        "readings of one GPU, made by formula, stand in for NVML. Energy and power below therefore show the path of a",
        "measurement, not the quality of a prediction; such runs are marked `replay` and nothing is learnt from them.",
        "How good predictions are stands in [benchmarks.md](benchmarks.md).",
    ]
    for step in steps:
        output = _shown(step.stderr + step.stdout, folder)
        parts += ["", step.said, "", "```console", f"$ {step.command}", *output.splitlines(), "```"]
    return "\n".join(parts) + "\n"


def _shown(text: str, folder: Path) -> str:
    lines = text.replace(str(folder), "/cluster").splitlines()
    return "\n".join(re.sub(r"\s+$", "", line) for line in lines)


def main() -> None:
    """Bring up a cluster, walk, print the transcript, take it down."""
    if getpass.getuser() != "root":
        sys.exit("The test cluster needs root.")
    folder = Path(tempfile.mkdtemp(prefix="gsbatch-walk-"))
    folder.rmdir()
    cluster = Cluster(folder)
    try:
        cluster.start()
        site = folder / "site"
        site.mkdir()
        steps = walk(cluster, install_site(site))
        version = cluster.run(["sinfo", "--version"]).stdout.strip()
        sys.stdout.write(transcript(steps, version, folder))
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
