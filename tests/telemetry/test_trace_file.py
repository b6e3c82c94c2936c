"""Traces are whole lines wherever they end, and are read back as far as those go."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import resource
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import TelemetryError
from advisor.telemetry.lines import line_of
from advisor.telemetry.reading import parse_trace, summarise
from advisor.telemetry.trace import (
    Epoch,
    GpuSample,
    HostSample,
    Projection,
    Sample,
    Stop,
    TracedGpu,
    TraceFooter,
    TraceHeader,
)
from advisor.telemetry.trace_file import TraceFile, trace_name


def header(**changes: object) -> TraceHeader:
    """A header of a job with one GPU."""
    values: dict[str, object] = {
        "schema": 1, "cluster": "mini", "job_id": "8", "array_job_id": None, "array_task": None, "restart": 0,
        "node": "n1", "node_rank": 0, "nodes": 1, "uid": os.getuid(), "user": "alice", "started_at": 1000.0,
        "command": ("python", "train.py"), "ticket_id": "t", "interval_s": 1.0,
        "gpus": (TracedGpu(uuid="GPU-1", name="NVIDIA A100", has_energy_counter=True),), "gpu_note": None,
        "host_note": None, "partition": "ampere", "recorder_version": "0.1.0",
    }  # fmt: skip
    return TraceHeader(**{**values, **changes})  # type: ignore[arg-type]


SAMPLES = tuple(
    Sample(
        time_s=1000.0 + second,
        gpus=(GpuSample(power_w=200.0, energy_counter_j=200.0 * second, utilisation=0.5, memory_used_bytes=second),),
        host=HostSample(cpu_time_s=float(second), memory_bytes=1000),
    )
    for second in range(5)
)
EPOCH = Epoch(phase=0, index=0, started_at=1001.0, ended_at=1003.0, steps=7, samples=70, gpu_energy_j=400.0)


def written(folder: Path) -> str:
    """A trace as the sampler writes it, without its footer."""
    trace = TraceFile(folder, header(), warn=pytest.fail)
    for sample in SAMPLES:
        trace.add(sample)
    trace.add(EPOCH, flush=True)
    trace.close()
    assert trace.path is not None
    return trace.path.read_text(encoding="utf-8")


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """Header, samples and epochs survive the round trip to the last digit."""
    trace = parse_trace(written(tmp_path))

    assert (header(), SAMPLES, (EPOCH,)) == (trace.header, trace.samples, trace.epochs)


def test_samples_leave_out_digits_that_no_card_knows() -> None:
    """A day's samples stay small; what is counted from them is right to a hundredth of a joule a GPU."""
    reading = GpuSample(power_w=412.3456, energy_counter_j=98765.4321, utilisation=0.97, memory_used_bytes=123456789)
    trace = parse_trace(
        line_of(header()) + line_of(Sample(time_s=1000.1234, gpus=(reading,), host=HostSample())) + line_of(EPOCH)
    )

    assert replace(reading, power_w=412.3, energy_counter_j=98765.43) == trace.samples[0].gpus[0]
    assert EPOCH == trace.epochs[0]


def test_summary_is_of_the_samples(tmp_path: Path) -> None:
    """Mean power is energy over the time that was sampled."""
    summary = summarise(parse_trace(written(tmp_path)))

    assert (800.0, "nvml_counter", 200.0) == (summary.gpu_energy_j, summary.energy_source, summary.mean_power_w)
    assert (0.5, 4, 1000) == (summary.gpu_utilisation, summary.gpu_memory_bytes, summary.host_memory_bytes)


@given(cut=st.integers(min_value=0, max_value=4000))
def test_cut_anywhere_it_reads_up_to_the_cut(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """A killed sampler or a full disk costs what came after, never what came before."""
    whole = written(tmp_path_factory.mktemp("trace"))
    first_line = whole.index("\n")
    text = whole[:cut]
    if cut < first_line:
        with pytest.raises(TelemetryError):
            parse_trace(text)
        return
    trace = parse_trace(text)

    assert SAMPLES[: len(trace.samples)] == trace.samples
    assert trace.damaged_lines <= 1


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"kind":"rubbish"}', '{"kind":"sample","time_s":NaN,"gpus":[],"host":[null,null,null,null]}',
     '{"kind":"sample","time_s":1e999,"gpus":[],"host":[null,null,null,null]}', '{"kind":"epoch","phase":"x"}',
     '{"kind":"sample","time_s":1,"gpus":[[1]],"host":[null,null,null,null]}', "[" * 100000],
)  # fmt: skip
def test_garbage_is_a_damaged_line(tmp_path: Path, line: str) -> None:
    """Nothing in a trace can raise more than a note that a line was not read."""
    assert 1 == parse_trace(written(tmp_path) + line + "\n").damaged_lines


def test_hostile_names_stay_in_the_folder() -> None:
    """A cluster or node name cannot lead out of the spool folder."""
    assert "_.._x-8-0-n1_._.trace.jsonl" == trace_name(header(cluster="/../x", node="n1/./"))


def test_array_tasks_have_traces_of_their_own() -> None:
    """Named after the array's id and the task, as users know them."""
    assert "mini-5_3-1-n1.trace.jsonl" == trace_name(header(array_job_id="5", array_task="3", restart=1))


def test_existing_name_is_never_written_to(tmp_path: Path) -> None:
    """It is an older trace, or a link laid as a trap."""
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="utf-8")
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / trace_name(header())).symlink_to(victim)
    told: list[str] = []
    trace = TraceFile(spool, header(), fallback=tmp_path, warn=told.append)
    trace.close()

    assert "precious" == victim.read_text(encoding="utf-8")
    assert tmp_path / trace_name(header()) == trace.path
    assert 1 == len(told)


def test_full_disk_leaves_whole_lines_and_goes_on_elsewhere(tmp_path: Path) -> None:
    """A write that stops half-way is taken back before the next folder is tried."""
    full, other = tmp_path / "full", tmp_path / "other"
    full.mkdir()
    other.mkdir()
    told: list[str] = []
    trace = TraceFile(full, header(), fallback=other, warn=told.append)
    first = trace.path
    trace.add(SAMPLES[0], flush=True)
    # A limit on file size makes the kernel refuse the rest of a write, as a full disk does.
    allowed = first.stat().st_size + 20 if first else 0
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, limits[1]))
    try:
        trace.add(SAMPLES[1], flush=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    trace.add(SAMPLES[2])
    trace.close()

    assert first is not None
    assert line_of(header()) + line_of(SAMPLES[0]) == first.read_text(encoding="utf-8")
    assert 1 == len(told)


def test_an_end_that_was_none_is_taken_back(tmp_path: Path) -> None:
    """A node's trace is whole should Slurm end its sampler now, and goes on should it not, on a full disk as well."""
    footer = TraceFooter(
        ended_at=3.0,
        exit_status=None,
        reason="perhaps",
        energy_source="none",
        gpu_energy_counter_j=None,
        gpu_energy_integral_j=None,
        host_energy_j=None,
        host_energy_source="none",
        samples=1,
        epochs=0,
    )
    trace = TraceFile(tmp_path, header(), warn=print)
    assert trace.path is not None
    trace.add(SAMPLES[0])
    trace.end_for_now(footer)
    ended = trace.path.read_text(encoding="utf-8")
    trace.end_for_now(footer)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    trace.add(SAMPLES[1], flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (trace.path.stat().st_size + 20, limits[1]))
    trace.end_for_now(footer)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    begun = line_of(header()) + line_of(SAMPLES[0])

    assert begun + line_of(footer) == ended
    assert begun + line_of(SAMPLES[1]) == trace.path.read_text(encoding="utf-8")


@given(st.data())
def test_altered_values_are_damage_never_a_traceback(data: st.DataObject) -> None:
    """A trace lies where its owner can write: any value in it may be of any type and size."""
    lines = [line_of(header()), *(line_of(sample) for sample in SAMPLES), line_of(EPOCH)]
    altered = data.draw(st.integers(min_value=0, max_value=len(lines) - 1))
    spots = [
        match.span() for match in re.finditer(r'(?<=[:,\[])(-?[\d.]+|null|"[^"]*"|\[\]|true|false)', lines[altered])
    ]
    begin, end = data.draw(st.sampled_from(spots))
    value = data.draw(
        st.sampled_from(["1e308", "-1", "NaN", "1e999", "9" * 400, "9" * 5000, "[]", "{}", "null", "true", '"x"'])
    )
    lines[altered] = lines[altered][:begin] + value + lines[altered][end:]

    with contextlib.suppress(TelemetryError):
        trace = parse_trace("".join(lines))
        assert trace.damaged_lines <= len(lines)
        assert math.isfinite(summarise(trace).gpu_energy_j or 0.0)


def test_sample_of_other_gpus_is_damage() -> None:
    """A reading that no GPU of the header belongs to is counted as damage and left out."""
    stray = Sample(time_s=1005.0, gpus=(*SAMPLES[0].gpus, *SAMPLES[0].gpus), host=HostSample())
    trace = parse_trace(line_of(header()) + "".join(line_of(sample) for sample in (*SAMPLES, stray)))

    assert (1, SAMPLES) == (trace.damaged_lines, trace.samples)


PROJECTION = Projection(
    time_s=1003.0, method="stable", energy_j=900.0, energy_low_j=800.0, energy_high_j=1000.0, duration_s=9.0,
    epochs_done=3, epochs_in_all=9, stable_from=1,
)  # fmt: skip
STOP = Stop(time_s=1003.0, phase=0, index=2, rule="energy_budget", reason="3 J are spent", by="keras")


def test_projections_and_stops_survive_the_round_trip() -> None:
    """What gseff shows of a running job is what the recorder wrote."""
    trace = parse_trace(line_of(header()) + line_of(PROJECTION) + line_of(STOP))

    assert ((PROJECTION,), (STOP,), 0) == (trace.projections, trace.stops, trace.damaged_lines)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("x" * 2000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(record=st.sampled_from([PROJECTION, STOP, EPOCH]), data=st.data())
def test_a_hostile_line_is_read_as_what_it_should_be_or_not_at_all(
    record: Projection | Stop | Epoch, data: st.DataObject
) -> None:
    """Whoever owns the job can write its trace: a field of any other kind costs the line, and never the reader."""
    plain = json.loads(line_of(record))
    name = data.draw(st.sampled_from(sorted(plain)))
    plain[name] = data.draw(anything)
    text = line_of(header()) + json.dumps(plain) + "\n"
    trace = parse_trace(text)

    kept: list[Projection | Stop | Epoch] = [*trace.projections, *trace.stops, *trace.epochs]
    assert 1 == len(kept) + trace.damaged_lines
    for number in (value for item in kept for value in asdict(item).values() if isinstance(value, float)):
        assert math.isfinite(number)
