"""Call gsbatch as a user does: a process of its own, with a fake sbatch on PATH."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.fake_sbatch import FakeSbatch

ROOT = Path(__file__).parents[2]
FACTS = (
    "--no-probe", "--set", "batch_size=32", "--set", "epochs=2", "--set", "train_samples=10000",
    "--set", "forward_flops_per_sample=4e9", "--set", "parameters=25000000", "--set", "framework=tensorflow",
)  # fmt: skip


def facts_without(name: str) -> tuple[str, ...]:
    """The facts but one."""
    kept = [word for word in FACTS[2::2] if not word.startswith(f"{name}=")]
    return ("--no-probe", *(word for fact in kept for word in ("--set", fact)))


CLUSTER = """\
name = "demo"
[[partitions]]
name = "ampere"
max_time = "1-00:00:00"
[[partitions.nodes]]
count = 1
cpus = 16
memory = "128G"
gres = "gpu:a100:2"
[[partitions]]
name = "gtx"
[[partitions.nodes]]
count = 2
cpus = 4
memory = "32G"
gres = "gpu:gtx1080ti:1"
[[partitions]]
name = "cpu"
[[partitions.nodes]]
count = 2
cpus = 64
memory = "256G"
"""


@dataclass(frozen=True, slots=True)
class Gsbatch:
    """gsbatch in a folder of its own, with ``train.py``, ``job.sh`` and ``cluster.toml`` in it."""

    folder: Path
    sbatch: FakeSbatch
    variables: Mapping[str, str]

    def __call__(self, *words: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it; ``variables`` are added to its environment."""
        return subprocess.run(
            [sys.executable, "-c", "from advisor.cli.gsbatch import main; main()", *words],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={**self.variables, **variables},
        )

    @property
    def spool(self) -> Path:
        """Where tickets go."""
        return self.sbatch.folder.parent / "data" / "gsbatch" / "spool"


def make_gsbatch(folder: Path) -> Gsbatch:
    """Lay out the folder; the described cluster is set by a variable, as a site would."""
    sbatch = FakeSbatch(folder / "bin")
    work = folder / "work"
    work.mkdir()
    (work / "train.py").write_text("import sys\nprint(sys.argv[1:])\n", encoding="utf-8")
    (work / "job.sh").write_text("#!/bin/bash\n#SBATCH --time=1:00:00\npython train.py\n", encoding="utf-8")
    (work / "cluster.toml").write_text(CLUSTER, encoding="utf-8")
    variables = sbatch.environment(
        PYTHONPATH=str(ROOT),
        GSBATCH_INVENTORY=str(work / "cluster.toml"),
        GSBATCH_SITE_CONFIG=str(folder / "site.toml"),
        # Root's scripts are dry-run only where that is asked for, and tests may run as root.
        **({"GSBATCH_PROBE": "on"} if os.geteuid() == 0 else {}),
    )
    return Gsbatch(work, sbatch, variables)
