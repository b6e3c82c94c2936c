"""A site for the commands' tests: folders of its own, settings by environment, and a sacct that answers from a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

from advisor.corpus.accounting import DELIMITER, FIELDS, AccountedJob
from advisor.units import MIB


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended and what it wrote."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Site:
    """Paths of one site and a way to run commands on it."""

    spool: Path
    corpus: Path
    models: Path
    programs: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, main: Callable[[], None], *words: str) -> Outcome:
        """Run a command's entry point as its program would."""
        self.monkeypatch.setattr(sys, "argv", ["program", *words])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        written = self.capsys.readouterr()
        code = ended.value.code
        return Outcome(code if isinstance(code, int) else 0, written.out, written.err)

    def accounting_says(self, *jobs: AccountedJob) -> None:
        """Let sacct answer this to whatever it is asked, and count the calls."""
        (self.programs / "answer").write_text("".join(sacct_lines(job) for job in jobs))
        self.program("sacct", f"echo called >> {self.programs}/calls\ncat {self.programs}/answer")

    def program(self, name: str, script: str) -> None:
        """Put a program on the path."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def sacct_calls(self) -> int:
        """How often sacct was called."""
        calls = self.programs / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0


def make_site(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A site in an empty folder, on which no other setting of this machine counts."""
    programs = folder / "bin"
    programs.mkdir()
    site = Site(folder / "spool", folder / "corpus.db", folder / "models", programs, monkeypatch, capsys)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("GSBATCH_SITE_CONFIG", str(folder / "site.toml"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    for name, path in (("SPOOL_DIR", site.spool), ("CORPUS", site.corpus), ("MODELS_DIR", site.models)):
        monkeypatch.setenv(f"GSBATCH_{name}", str(path))
    return site


def sacct_lines(job: AccountedJob) -> str:
    """A job and its batch step as sacct would write them."""
    tres = f"cpu={job.cpus},mem={(job.memory_bytes or 0) // MIB}M" + (f",gres/gpu={job.gpus}" if job.gpus else "")
    row = dict.fromkeys(FIELDS, "") | {
        "JobID": job.shown_id,
        "JobIDRaw": job.job_id,
        "User": job.user,
        "UID": str(job.uid),
        "Cluster": job.cluster,
        "Account": job.account or "",
        "Partition": job.partition or "",
        "State": job.state,
        "ExitCode": f"{job.exit_status or 0}:0",
        "ElapsedRaw": str(int(job.elapsed_s)),
        "Submit": _time(job.submitted_at),
        "Start": _time(job.started_at),
        "End": _time(job.ended_at),
        "NNodes": str(job.nodes),
        "AllocTRES": tres,
        "NodeList": job.node_list,
    }
    step = row | {
        "JobID": f"{job.shown_id}.batch",
        "JobIDRaw": f"{job.job_id}.batch",
        "MaxRSS": f"{(job.max_rss_bytes or 0) // 1024}K",
    }
    return "".join(DELIMITER.join(line[field] for field in FIELDS) + "\n" for line in (row, step))


def _time(seconds: float | None) -> str:
    return (
        "Unknown" if seconds is None else datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    )
