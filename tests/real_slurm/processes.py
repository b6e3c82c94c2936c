"""The cluster's processes: started in the foreground of their own session, found again by a mark, ended by their id."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

# In the environment of every daemon and, inherited, of every slurmstepd; its value is the cluster's folder.
MARK = "GSBATCH_TEST_CLUSTER"


class Daemons:
    """Daemons of one cluster folder; another process can pick them up through ``folder/pids``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a daemon that stays in the foreground; what it prints goes to ``folder/log/NAME.out``."""
        with (self._folder / "log" / f"{name}.out").open("ab") as output:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                env={**environment, MARK: str(self._folder)},
                start_new_session=True,
            )
        self._children[name] = child
        self._pid_file(name).write_text(f"{child.pid}\n")

    def running(self, name: str) -> psutil.Process | None:
        """The daemon's process when its recorded id still belongs to this cluster."""
        try:
            process = psutil.Process(int(self._pid_file(name).read_text()))
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return process if _is_marked(process, self._folder) else None

    def stop(self, name: str, timeout_s: float = 10.0) -> None:
        """End one daemon: SIGTERM, then SIGKILL after ``timeout_s``."""
        process = self.running(name)
        if process is not None:
            process.terminate()
            _, alive = psutil.wait_procs([process], timeout=timeout_s)
            for straggler in alive:
                straggler.kill()
        self._reap(name)
        self._pid_file(name).unlink(missing_ok=True)

    def stop_all(self) -> None:
        """End every process of the cluster, jobs and their children included, at once: nothing is kept."""
        for _ in range(5):
            processes = processes_of(self._folder)
            if not processes:
                break
            for process in processes:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(processes, timeout=5)
        for name in list(self._children):
            self._reap(name)

    def _reap(self, name: str) -> None:
        child = self._children.pop(name, None)
        if child is not None:
            child.wait()

    def _pid_file(self, name: str) -> Path:
        return self._folder / "pids" / f"{name}.pid"


def processes_of(folder: Path) -> list[psutil.Process]:
    """Living processes of the cluster in ``folder``: daemons, step daemons, jobs, and the children of all these."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid == os.getpid() or not _is_marked(process, folder):
            continue
        try:
            family = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        found.update({member.pid: member for member in family})
    return list(found.values())


def _is_marked(process: psutil.Process, folder: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        environment = process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    is_job = environment.get("SLURM_CONF") == str(folder / "etc" / "slurm.conf") and "SLURM_JOB_ID" in environment
    return is_job or environment.get(MARK) == str(folder)
