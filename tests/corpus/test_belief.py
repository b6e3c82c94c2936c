"""Which attempt a trace is of, and that nothing is counted twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from advisor.corpus.attempt import build_attempt
from advisor.corpus.belief import NodeTrace, Reader, believed_trace, check_apart, matching_attempt
from advisor.errors import TelemetryError
from advisor.telemetry.trace import Trace, TraceHeader
from tests.corpus.measured import EPOCH_S, HEADER, JOB, NOW_S, POWER_W, UID, made_trace, spooled


def node_trace(folder: Path, trace: Trace) -> NodeTrace:
    """A believed trace that lies in a folder."""
    return believed_trace(
        spooled(folder, trace),
        [replace(JOB, gpus=None, node_list="", nodes=2, ended_at=None)],
        Reader(uid=UID, now_s=NOW_S),
    )


def step_header(step: str, **changes: object) -> TraceHeader:
    """The header of a step's trace on the second node."""
    values: dict[str, object] = {"node": "n2", "node_rank": 0, "nodes": 2, "step": step, **changes}
    return replace(HEADER, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trace_at", "attempt_at"), [(1000.9, 1000.0), (1004.9, 1004.0), (1003.9, 1004.0), (990, 1000)]
)
def test_trace_is_of_the_attempt_that_began_with_it(trace_at: float, attempt_at: float) -> None:
    """Slurm may start a requeued job again within seconds; clocks of nodes and controller differ by some."""
    attempts = [replace(JOB, started_at=1000.0), replace(JOB, started_at=1004.0)]
    found = matching_attempt(replace(HEADER, cluster=JOB.cluster, job_id=JOB.job_id, started_at=trace_at), attempts)

    assert found is not None
    assert attempt_at == found.started_at


def test_epoch_of_the_first_process_has_all_nodes_energy(tmp_path: Path) -> None:
    """Other nodes mark no epochs; what they used meanwhile is in their samples."""
    first = made_trace(replace(HEADER, nodes=2), epochs=3)
    other = replace(made_trace(step_header("0"), epochs=3), epochs=())
    attempt = build_attempt([node_trace(tmp_path, other), node_trace(tmp_path, first)], None, now_s=2e9)

    assert [pytest.approx(2 * POWER_W * EPOCH_S)] * 3 == [epoch.gpu_energy_j for epoch in attempt.epochs]
    assert (2, "complete") == (attempt.run.gpus, attempt.run.quality)


def test_steps_one_after_the_other_use_the_same_gpus(tmp_path: Path) -> None:
    """Their energies are summed, their GPUs are not; mean power is of the whole run."""
    first = made_trace(replace(HEADER, nodes=2), epochs=4)
    begun_s = first.header.started_at
    steps = [made_trace(step_header(str(step), started_at=begun_s + 2 * step * EPOCH_S), epochs=2) for step in (0, 1)]
    nodes = [node_trace(tmp_path, replace(trace, epochs=())) for trace in steps]
    run = build_attempt([*nodes, node_trace(tmp_path, first)], None, now_s=2e9).run

    assert 2 == run.gpus
    assert pytest.approx(2 * 4 * POWER_W * EPOCH_S) == run.energy_j
    assert pytest.approx(2 * POWER_W) == run.mean_power_w


def test_gpus_measured_twice_are_refused(tmp_path: Path) -> None:
    """Two steps that share a node's GPUs at the same time would be charged twice."""
    one, same = (node_trace(tmp_path, made_trace(step_header(step))) for step in ("0", "1"))
    later = node_trace(tmp_path, made_trace(step_header("2", started_at=HEADER.started_at + 1e4)))
    check_apart(one, later)

    with pytest.raises(TelemetryError, match="same GPUs"):
        check_apart(one, same)
