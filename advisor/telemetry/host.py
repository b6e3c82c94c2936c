"""Host readings: the job's own processes through psutil, and RAPL's counters where they can be read."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from advisor.telemetry.trace import HostSample

RAPL_FOLDER = Path("/sys/class/powercap")
# Where RAPL cannot be read: W of a busy core of unknown model, and of a gigabyte of memory, as Lannelongue et al. take
# them in "Green Algorithms" (2021, doi:10.1002/advs.202100707).
BUSY_CORE_W = 12.0
MEMORY_W_PER_GB = 0.3725
_GB = 1e9
_MICRO = 1e-6
_KERNEL_LISTS_CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children").exists()


class HostSensor:
    """CPU time and memory of processes with all their descendants. RAPL is of the whole node, never the job's alone."""

    def __init__(
        self,
        root_pid: int | None = None,
        rapl_folder: Path = RAPL_FOLDER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._roots: dict[int, _Root] = {}
        self._ended_cpu_s = 0.0
        self._clock = clock
        self._last: tuple[float, int] | None = None
        self._memory_j = self._cpu_j = 0.0
        if root_pid is not None:
            self.add_root(root_pid)
        self._rapl = [zone for zone in (_open_zone(path) for path in sorted(rapl_folder.glob("intel-rapl:*"))) if zone]
        self.note = None if self._rapl else "RAPL cannot be read: host energy is an estimate"

    def add_root(self, pid: int) -> None:
        """Count one more process with its descendants, unless it is a descendant of one that is counted already."""
        try:
            process = psutil.Process(pid)
            family = {pid, *(parent.pid for parent in process.parents())}
        except psutil.Error:  # it has ended already
            return
        if not family & self._roots.keys():
            self._roots[pid] = _Root(process)

    def read(self) -> HostSample:
        """One reading; processes that end while they are read are passed over."""
        memory_bytes, alive = 0, False
        for pid, root in list(self._roots.items()):
            root_memory_bytes = root.read()
            if root_memory_bytes is not None:
                alive = True
                memory_bytes += root_memory_bytes
            elif len(self._roots) > 1:  # a task that has ended leaves what it used; the last root says is_alive
                self._ended_cpu_s += root.cpu_time_s
                del self._roots[pid]
        cpu_time_s = self._ended_cpu_s + sum(root.cpu_time_s for root in self._roots.values())
        self._estimate(cpu_time_s, memory_bytes)
        package = [zone.energy_j() for zone in self._rapl if zone.kind == "package"]
        dram = [zone.energy_j() for zone in self._rapl if zone.kind == "dram"]
        return HostSample(
            cpu_time_s=round(cpu_time_s, 2) if alive else None,
            memory_bytes=memory_bytes if alive else None,
            rapl_package_j=round(sum(package), 3) if package else None,
            rapl_dram_j=round(sum(dram), 3) if dram else None,
        )

    def energy_j(self, sample: HostSample | None) -> tuple[float | None, str]:
        """J so far and where from: ``rapl`` (the node's) or ``estimate`` (the job's own processes'), else ``none``."""
        if sample is not None and sample.rapl_package_j is not None:
            return sample.rapl_package_j + (sample.rapl_dram_j or 0.0), "rapl"
        return (round(self._cpu_j + self._memory_j, 3), "estimate") if self._cpu_j else (None, "none")

    def _estimate(self, cpu_time_s: float, memory_bytes: int) -> None:
        now_s = self._clock()
        if self._last is not None:
            last_s, last_bytes = self._last
            self._memory_j += (now_s - last_s) * (last_bytes + memory_bytes) / 2 / _GB * MEMORY_W_PER_GB
        self._last = (now_s, memory_bytes)
        self._cpu_j = max(self._cpu_j, cpu_time_s * BUSY_CORE_W)

    def is_alive(self) -> bool:
        """Whether one of the processes still runs."""
        return any(root.is_alive() for root in self._roots.values())


def step_task(pid: int) -> tuple[int, int | None]:
    """The task of a Slurm step that a process belongs to, and its slurmstepd; without one, the process itself."""
    try:
        line = [psutil.Process(pid), *psutil.Process(pid).parents()]
        for task, parent in itertools.pairwise(line):
            if parent.name() == "slurmstepd":
                return task.pid, parent.pid
    except psutil.Error:
        return pid, None
    return pid, None


class _Root:
    """A process of the job with its descendants; ``cpu_time_s`` is that of the last reading."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.cpu_time_s = 0.0

    def read(self) -> int | None:
        """Resident bytes, or None where nothing is left to read."""
        cpu_time_s, memory_bytes, alive = 0.0, 0, False
        for process in self._family():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    memory_bytes += process.memory_info().rss
            except psutil.Error:
                continue
            alive = True
            # Descendants that ended and were waited for stand in children_*; those alive are in the list themselves.
            cpu_time_s += times.user + times.system + times.children_user + times.children_system
        if not alive:
            return None
        self.cpu_time_s = cpu_time_s
        return memory_bytes

    def is_alive(self) -> bool:
        """Whether it still runs: not a later one of its number, and not a zombie that nobody waits for."""
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def _family(self) -> list[psutil.Process]:
        if not self._process.is_running():
            return []
        if not _KERNEL_LISTS_CHILDREN:
            try:
                return [self._process, *self._process.children(recursive=True)]
            except psutil.Error:
                return []
        found = [self._process]
        for process in found:  # grows while it is walked
            for pid in _children(process.pid):
                with contextlib.suppress(psutil.Error):
                    found.append(psutil.Process(pid))
        return found


def _children(pid: int) -> list[int]:
    """Children by the kernel's own lists: psutil would read every process of the node, once a second."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(word) for word in path.read_text(encoding="ascii").split()]
    return found


class _RaplZone:
    """One counter of ``/sys/class/powercap``; its wrap at ``max_energy_range_uj`` is undone."""

    def __init__(self, path: Path, kind: str, range_uj: int) -> None:
        self.kind = kind
        self._file = path / "energy_uj"
        self._range_uj = range_uj
        self._last_uj = int(self._file.read_text(encoding="ascii"))
        self._total_uj = 0

    def energy_j(self) -> float:
        """J since this zone was opened; a reading that fails adds nothing, the next one makes up for it."""
        try:
            now_uj = int(self._file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return self._total_uj * _MICRO
        advance_uj = now_uj - self._last_uj
        self._total_uj += advance_uj if advance_uj >= 0 else advance_uj + self._range_uj
        self._last_uj = now_uj
        return self._total_uj * _MICRO


def _open_zone(path: Path) -> _RaplZone | None:
    try:
        name = (path / "name").read_text(encoding="ascii").strip()
        kind = "package" if name.startswith("package") else name
        return _RaplZone(path, kind, int((path / "max_energy_range_uj").read_text(encoding="ascii")))
    except (OSError, ValueError):  # since kernel 5.10 the counters are root's, unless the site opens them
        return None
