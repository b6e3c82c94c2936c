"""Host readings: the job's own processes, and RAPL's counters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.telemetry.host import HostSensor

FAMILY = """
import subprocess, sys
hold = "x = bytearray(50_000_000); x[::4096] = b'1' * len(x[::4096]); print('ready', flush=True); input()"
subprocess.run([sys.executable, "-c", hold])
"""


def test_memory_and_time_are_of_the_whole_family(tmp_path: Path) -> None:
    """A launcher's own memory says nothing; what its child holds is the job's."""
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as launcher:
        assert launcher.stdout is not None
        assert "ready\n" == launcher.stdout.readline()
        sensor = HostSensor(launcher.pid, tmp_path)
        reading = sensor.read()
        launcher.communicate("\n")

    assert reading.memory_bytes is not None
    assert 50_000_000 < reading.memory_bytes < 500_000_000
    assert reading.cpu_time_s is not None
    assert 0.0 < reading.cpu_time_s < 60.0
    assert not sensor.is_alive()


def test_zombie_is_not_alive(tmp_path: Path) -> None:
    """In a container without an init nobody waits for the training: the sampler must not wait for ever."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    sensor = HostSensor(child.pid, tmp_path)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert not sensor.is_alive()
    child.wait()


def test_rapl_counts_on_over_its_wrap(tmp_path: Path) -> None:
    """The counter begins anew at its range; packages are summed, and kept apart from memory."""
    for name, kind in (("intel-rapl:0", "package-0"), ("intel-rapl:1", "package-1"), ("intel-rapl:0:0", "dram")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(kind, encoding="ascii")
        (tmp_path / name / "max_energy_range_uj").write_text("10000000", encoding="ascii")
        (tmp_path / name / "energy_uj").write_text("9000000", encoding="ascii")
    sensor = HostSensor(os.getpid(), tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("1000000", encoding="ascii")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("9500000", encoding="ascii")
    (tmp_path / "intel-rapl:0:0" / "energy_uj").write_text("9100000", encoding="ascii")
    reading = sensor.read()

    assert (2.5, 0.1) == (reading.rapl_package_j, reading.rapl_dram_j)
    assert sensor.note is None


def test_without_rapl_the_host_is_estimated_and_that_is_said(tmp_path: Path) -> None:
    """From the CPU time and memory of the job's own processes; never passed off as a measurement."""
    times = iter([0.0, 3600.0])
    sensor = HostSensor(os.getpid(), tmp_path, clock=lambda: next(times))
    first, last = sensor.read(), sensor.read()
    energy_j, source = sensor.energy_j(last)

    assert first.memory_bytes is not None
    assert last.memory_bytes is not None
    assert last.cpu_time_s is not None
    assert last.rapl_package_j is None
    mean_gb = (first.memory_bytes + last.memory_bytes) / 2e9
    assert pytest.approx(12.0 * last.cpu_time_s + 0.3725 * mean_gb * 3600, rel=0.01) == energy_j
    assert "estimate" == source
    assert "estimate" in str(sensor.note)


def test_nothing_read_is_nothing_estimated(tmp_path: Path) -> None:
    """A training that ended before its first reading has no host energy; it is not zero."""
    sensor = HostSensor(rapl_folder=tmp_path)

    assert (None, "none") == sensor.energy_j(sensor.read())
