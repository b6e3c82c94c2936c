"""Host readings: the job's own processes through psutil, and RAPL's counters where they can be read."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import psutil

from advisor.telemetry.trace import HostSample

RAPL_FOLDER = Path("/sys/class/powercap")
_MICRO = 1e-6
_KERNEL_LISTS_CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children").exists()


class HostSensor:
    """CPU time and memory of a process with all its descendants. RAPL is of the whole node, never of the job alone."""

    def __init__(self, root_pid: int, rapl_folder: Path = RAPL_FOLDER) -> None:
        try:
            self._root: psutil.Process | None = psutil.Process(root_pid)
        except psutil.Error:  # it has ended already
            self._root = None
        self._rapl = [zone for zone in (_open_zone(path) for path in sorted(rapl_folder.glob("intel-rapl:*"))) if zone]
        self.note = None if self._rapl else "RAPL cannot be read: host energy is absent"

    def read(self) -> HostSample:
        """One reading; processes that end while they are read are passed over."""
        cpu_time_s, memory_bytes, alive = 0.0, 0, False
        for process in self._processes():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    memory_bytes += process.memory_info().rss
            except psutil.Error:
                continue
            alive = True
            # Descendants that ended and were waited for stand in children_*; those alive are in the list themselves.
            cpu_time_s += times.user + times.system + times.children_user + times.children_system
        package = [zone.energy_j() for zone in self._rapl if zone.kind == "package"]
        dram = [zone.energy_j() for zone in self._rapl if zone.kind == "dram"]
        return HostSample(
            cpu_time_s=round(cpu_time_s, 2) if alive else None,
            memory_bytes=memory_bytes if alive else None,
            rapl_package_j=round(sum(package), 3) if package else None,
            rapl_dram_j=round(sum(dram), 3) if dram else None,
        )

    def is_alive(self) -> bool:
        """Whether the process still runs: not a later one of its number, and not a zombie that nobody waits for."""
        try:
            return self._root is not None and self._root.is_running() and self._root.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def _processes(self) -> list[psutil.Process]:
        if self._root is None:
            return []
        if not _KERNEL_LISTS_CHILDREN:
            try:
                return [self._root, *self._root.children(recursive=True)]
            except psutil.Error:
                return []
        found = [self._root]
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
