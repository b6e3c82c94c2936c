"""Sensors to trace with a clock of the test's own: recorded readings whose energy is known exactly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from advisor.telemetry.epochs import Mark
from advisor.telemetry.gpu import ReplayedGpus
from advisor.telemetry.host import HostSensor
from advisor.telemetry.projection import Projector
from advisor.telemetry.reading import parse_trace, summarise
from advisor.telemetry.sampler import Sampler, header_of
from advisor.telemetry.stopping import StopRules
from advisor.telemetry.trace import Trace
from advisor.telemetry.trace_file import TraceFile

READINGS = Path(__file__).parents[1] / "data" / "gpu_readings" / "two_gpus_ramp.jsonl"
BEGUN_AT = 1000.0


class Clock:
    """Time as the test says."""

    def __init__(self) -> None:
        self.now = BEGUN_AT

    def __call__(self) -> float:
        """The time it is."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Stands still until it is moved."""
    return Clock()


def sampler_of(folder: Path, clock: Clock) -> Sampler:
    """A sampler of two replayed GPUs, whose trace lies in this folder."""
    gpus, host = ReplayedGpus(READINGS, clock), HostSensor(os.getpid(), folder)
    header = header_of({}, ticket_id=None, command=["train"], interval_s=1.0, gpus=gpus, host=host)
    trace = TraceFile(folder, header, warn=pytest.fail)
    return Sampler(gpus, host, trace, rules=StopRules(), projector=Projector, clock=clock)


def trace_in(folder: Path) -> Trace:
    """The one trace of a folder."""
    (path,) = folder.glob("*.trace.jsonl")
    return parse_trace(path.read_text(encoding="utf-8"))


def mark(kind: str, index: int, time_s: float) -> Mark:
    """A mark of the only phase."""
    return Mark(kind=kind, phase=0, index=index, time_s=time_s, epochs=4)


def test_energy_of_a_replayed_minute_is_exact(tmp_path: Path, clock: Clock) -> None:
    """Two GPUs draw 100 W for 10 s and 300 W for 50 s: 32,000 J, by the counters; the trapezoid is within a step."""
    sampler = sampler_of(tmp_path, clock)
    for second in range(61):
        clock.now = BEGUN_AT + second
        sampler.sample()
    sampler.close({"exit_status": 0, "reason": "exited"})
    trace = trace_in(tmp_path)

    assert trace.footer is not None
    assert 32_000.0 == trace.footer.gpu_energy_counter_j == summarise(trace).gpu_energy_j
    assert trace.footer.gpu_energy_integral_j == pytest.approx(32_000.0, abs=200.0)


def test_epochs_get_the_energy_between_their_marks(tmp_path: Path, clock: Clock) -> None:
    """Marks bring samples of their own; two epochs of 5 s at 100 W on two GPUs use 1,000 J each."""
    sampler = sampler_of(tmp_path, clock)
    sampler.sample()
    for second in range(1, 12):
        clock.now = BEGUN_AT + second
        if second in {1, 6, 11}:
            ended = [mark("epoch_end", second // 5 - 1, clock.now)] if second > 1 else []
            sampler.take_marks([*ended, mark("epoch_begin", second // 5, clock.now)])
        else:
            sampler.sample()
    sampler.close(None)
    trace = trace_in(tmp_path)

    assert trace.footer is None
    assert [1000.0, 1000.0 + 2 * 200.0] == [epoch.gpu_energy_j for epoch in trace.epochs]


def test_a_storm_of_marks_costs_few_samples(tmp_path: Path, clock: Clock) -> None:
    """A thousand passes a second are a thousand epochs, and twenty samples."""
    sampler = sampler_of(tmp_path, clock)
    for index in range(1000):
        sampler.take_marks([mark("epoch_begin", index, clock.now)])
        clock.now += 0.001
        sampler.take_marks([mark("epoch_end", index, clock.now)])
    sampler.close({"exit_status": 0, "reason": "exited"})
    trace = trace_in(tmp_path)

    assert 1000 == len(trace.epochs)
    assert 19 <= len(trace.samples) <= 22
