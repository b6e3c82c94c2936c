"""The sampler: a process beside the training that reads the sensors and writes the trace.

Started by the recorder with three descriptors: ``--control`` (end of file when the recorder is gone), ``--witness``
(told of every signal that reaches this process) and ``--marks`` (a datagram socket on which the hook marks epochs).
It ignores the signals that end jobs, because it is the recorder that ends it, after the training's last second has
been measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from advisor import __version__
from advisor.errors import TelemetryError, UsageError
from advisor.rendering.recorder_options import RecorderOptions, parse_recorder_arguments
from advisor.telemetry.beside import DryRunBeside
from advisor.telemetry.energy import EnergyMeter, named_source
from advisor.telemetry.epochs import EpochLog, Mark
from advisor.telemetry.gpu import GpuSensor, ReplayedGpus, own_gpus
from advisor.telemetry.host import HostSensor, step_task
from advisor.telemetry.marks_socket import MarksSocket, answer
from advisor.telemetry.signals import HARMLESS, WITNESSED
from advisor.telemetry.steady_clock import SteadyClock
from advisor.telemetry.stopping import Judge, StopRules
from advisor.telemetry.trace import (
    SCHEMA_VERSION,
    Epoch,
    HostSample,
    JobWorkload,
    Sample,
    Stop,
    TraceFooter,
    TraceHeader,
)
from advisor.telemetry.trace_file import TraceFile
from advisor.units import GainRule, gain_rule_from_text

if TYPE_CHECKING:
    from advisor.inspection.workload import Workload
    from advisor.telemetry.projection import Projector

SHORTEST_GAP_S = 0.05
# Episodic trainings have thousands of passes a minute; their epochs are written together.
SHORTEST_FLUSH_S = 1.0


class Sampler:
    """Sensors in, trace out, and a word on whether to stop for the hook that asks; no processes or signals here."""

    def __init__(
        self,
        gpus: GpuSensor,
        host: HostSensor,
        trace: TraceFile,
        *,
        rules: StopRules,
        projector: Callable[[], Projector],
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._gpus = gpus
        self._host = host
        self._trace = trace
        self._rules = rules
        self._judge = Judge(rules)
        self._is_budget_minded = False
        self._meter = EnergyMeter()
        self._epoch_log = EpochLog(self._meter)
        self._make_projector = projector
        self._projector: Projector | None = None
        self._stop: Stop | None = None
        self._samples = 0
        self._epochs = 0
        self._host_sample: HostSample | None = None
        self._begun_at = 0.0
        self._sampled_at = 0.0
        self._epoch_flushed_at = 0.0

    def sample(self) -> None:
        """Read every sensor once."""
        sample = Sample(time_s=self._clock(), gpus=self._gpus.read(), host=self._host.read())
        if self._samples == 0:
            self._begun_at = sample.time_s
        self._sampled_at = sample.time_s
        self._meter.add(sample)
        self._host_sample = sample.host
        self._samples += 1
        self._trace.add(sample)
        spent_j, _source = self._meter.counted()
        self._mind_budget(spent_j, "has used")

    def take_marks(self, marks: Sequence[Mark]) -> None:
        """Take marks of the hook, with a sample of their own so that short epochs are measured too.

        Cards renew their readings every 20 to 100 ms: marks that come faster share a sample.
        """
        if self._clock() - self._sampled_at >= SHORTEST_GAP_S:
            self.sample()
        for mark in marks:
            self._take(mark)

    def _take(self, mark: Mark) -> None:
        epoch = self._epoch_log.add(mark)
        stop = None if epoch is None else self._take_epoch(epoch, mark)
        if mark.kind == "stopped" and self._stop is not None:
            self._trace.add(replace(self._stop, by=mark.by), flush=True)
            warn(f"the training is told to stop ({mark.by}): {self._stop.reason}")
        answer(mark, stop=stop is not None, signal=self._rules.signal)

    def _take_epoch(self, epoch: Epoch, mark: Mark) -> Stop | None:
        self._epochs += not epoch.validation
        if self._projector is None:  # by now the ticket has been written, if there is one
            self._projector = self._make_projector()
        spent_j, _source = self._meter.counted()
        so_far = None if spent_j is None else (spent_j, epoch.ended_at - self._begun_at)
        projections = self._projector.add(epoch, self._epoch_log.total_epochs, so_far)
        for projection in projections:
            self._trace.add(projection)
            if projection.stable_from is not None:
                self._mind_budget(projection.energy_j, "is projected to use")
        now = self._clock()
        is_due = now - self._epoch_flushed_at >= SHORTEST_FLUSH_S
        self._trace.add(epoch, flush=is_due)
        if is_due:
            self._epoch_flushed_at = now
        stop = self._judge.judge(epoch, spent_j=spent_j, projections=projections, metrics=mark.metrics)
        if stop is not None and stop != self._stop:
            self._stop = stop
            self._trace.add(stop, flush=True)
        return stop

    def take_workload(self, workload: Workload) -> None:
        """Keep what a dry run beside the training found."""
        self._trace.add(JobWorkload(time_s=self._clock(), workload=workload), flush=True)

    def flush(self) -> None:
        """Write what is kept."""
        self._trace.flush()

    def end_for_now(self, ending: Mapping[str, object]) -> None:
        """Close the trace as far as can be told; whatever comes after goes on with it."""
        self._trace.end_for_now(self._footer(ending))

    def close(self, ending: Mapping[str, object] | None) -> None:
        """Close the trace; with the recorder's word on how the training ended, or without it no footer."""
        if ending is not None:
            self._trace.add(self._footer(ending))
        self._trace.close()

    def _footer(self, ending: Mapping[str, object]) -> TraceFooter:
        _energy_j, source = self._meter.counted()
        host_energy_j, host_energy_source = self._host.energy_j(self._host_sample)
        totals = self._meter.totals
        return TraceFooter(
            ended_at=self._clock(),
            exit_status=None if ending["exit_status"] is None else int(str(ending["exit_status"])),
            reason=str(ending["reason"]),
            energy_source=named_source(source, self._gpus.sensor),
            gpu_energy_counter_j=totals.counter_j if totals else None,
            gpu_energy_integral_j=totals.integral_j if totals else None,
            host_energy_j=host_energy_j,
            host_energy_source=host_energy_source,
            samples=self._samples,
            epochs=self._epochs,
        )

    def _mind_budget(self, energy_j: float | None, words: str) -> None:
        budget_j = self._rules.budget_j
        if budget_j is not None and energy_j is not None and energy_j > budget_j and not self._is_budget_minded:
            warn(f"this job {words} {energy_j:.0f} J, more than its budget of {budget_j:.0f} J")
            self._is_budget_minded = True


def header_of(
    environment: Mapping[str, str],
    *,
    ticket_id: str | None,
    command: Sequence[str],
    interval_s: float,
    gpus: GpuSensor,
    host: HostSensor,
    step: str | None = None,
) -> TraceHeader:
    """The header of this attempt on this node, from Slurm's variables."""
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container without the site's user database
        user = environment.get("SLURM_JOB_USER", str(uid))
    return TraceHeader(
        schema=SCHEMA_VERSION,
        cluster=environment.get("SLURM_CLUSTER_NAME", "local"),
        job_id=environment.get("SLURM_JOB_ID", f"local-{int(time.time())}-{os.getppid()}"),
        array_job_id=environment.get("SLURM_ARRAY_JOB_ID"),
        array_task=environment.get("SLURM_ARRAY_TASK_ID"),
        restart=_count(environment, "SLURM_RESTART_COUNT", 0),
        node=environment.get("SLURMD_NODENAME") or socket.gethostname(),
        node_rank=_count(environment, "SLURM_NODEID", 0),
        nodes=_count(environment, "SLURM_JOB_NUM_NODES", 1),
        uid=uid,
        user=user,
        started_at=time.time(),
        command=tuple(word.encode(errors="replace").decode() for word in command),
        ticket_id=ticket_id,
        interval_s=interval_s,
        gpus=gpus.gpus,
        gpu_note=gpus.note,
        host_note=host.note,
        partition=environment.get("SLURM_JOB_PARTITION"),
        recorder_version=__version__,
        gpu_sensor=gpus.sensor,
        step=step,
    )


def warn(message: str) -> None:
    """One line on the job's stderr, which may be gone."""
    with contextlib.suppress(OSError, ValueError):
        print(f"gsbatch: {message}", file=sys.stderr, flush=True)  # noqa: T201 (the job's own log is its only screen)


def main() -> None:
    """Sample until the recorder says how the training ended, or until both are gone."""
    parser = argparse.ArgumentParser(prog="gsbatch-sampler", description="Started by the recorder, not by hand.")
    for name in ("--control", "--witness", "--training-pid", "--marks"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--fallback", required=True)
    options, own = parse_recorder_arguments(parser, sys.argv[1:])
    # A folder that we stand in could not be unmounted.
    os.chdir("/")
    flush_asked: list[int] = []
    _witness_signals(own.witness, flush_asked)
    host = HostSensor(own.training_pid)
    sampler = open_sampler(options, own, os.environ, host)
    beside = DryRunBeside(options.probe, sampler.take_workload)
    ending = _sample_until_the_end(sampler, host, beside, own, interval_s=options.interval_s, flush_asked=flush_asked)
    sampler.sample()
    sampler.close(ending)
    beside.end()


def open_sampler(
    options: RecorderOptions,
    own: argparse.Namespace,
    environment: Mapping[str, str],
    host: HostSensor,
    step: str | None = None,
) -> Sampler:
    """The sampler of this node with its first sample written.

    Where the options have a mistake, or readings that were asked for are missing, the process ends.

    Args:
        options: how the job is recorded.
        own: ``command``, the training's, and ``fallback``, the folder for the trace where the spool takes none.
        environment: the job's.
        host: reads this node.
        step: the Slurm step's id, None for the batch script.
    """
    try:
        readings = options.gpu_readings
        gpus: GpuSensor = own_gpus(environment) if readings is None else ReplayedGpus(Path(readings))
        gain = None if options.min_gain is None else gain_rule_from_text(options.min_gain)
    except (TelemetryError, UsageError) as exc:
        warn(f"the job is not recorded: {exc}")
        sys.exit(exc.exit_status)
    header = header_of(
        environment,
        ticket_id=options.ticket,
        command=own.command,
        interval_s=options.interval_s,
        gpus=gpus,
        host=host,
        step=step,
    )
    spool = Path(options.spool)
    trace = TraceFile(spool, header, fallback=Path(own.fallback), warn=warn)
    sampler = Sampler(
        gpus,
        host,
        trace,
        rules=_rules(options, gain, header.nodes),
        projector=lambda: _projector(spool, header),
        clock=SteadyClock(),
    )
    sampler.sample()
    sampler.flush()
    return sampler


def _projector(spool_dir: Path, header: TraceHeader) -> Projector:
    # Loaded with the first epoch: a quarter of what starting would cost.
    from advisor.telemetry.expectation import read_expectation  # noqa: PLC0415
    from advisor.telemetry.projection import Projector  # noqa: PLC0415

    return Projector(read_expectation(spool_dir, header))


def _rules(options: RecorderOptions, gain: GainRule | None, nodes: int) -> StopRules:
    """What the user asked for, for this node: the budget is the job's, and each node sees its own energy only."""
    return StopRules(
        budget_j=None if options.energy_budget_j is None else options.energy_budget_j / nodes,
        budget_on=options.budget_on,
        gain=gain,
        signal=options.budget_signal,
    )


def _sample_until_the_end(
    sampler: Sampler,
    host: HostSensor,
    beside: DryRunBeside,
    own: argparse.Namespace,
    *,
    interval_s: float,
    flush_asked: list[int],
) -> Mapping[str, object] | None:
    marks = MarksSocket(own.marks)
    watched: list[int] = [own.control, marks.fileno()]
    told = b""
    next_at = time.monotonic() + interval_s
    while True:
        ready, _, _ = select.select([*watched, *beside.descriptors()], [], [], max(next_at - time.monotonic(), 0.0))
        beside.listen(ready)
        if marks.fileno() in ready:
            _take_marks(sampler, host, marks, beside)
        if own.control in ready:
            piece = os.read(own.control, 4096)
            told += piece
            if not piece and told:
                _take_marks(sampler, host, marks, beside)
                return dict(json.loads(told))
            if not piece:
                watched.remove(own.control)  # the recorder was killed; the training may go on
        if own.control not in watched and not host.is_alive():
            marks.remove()
            return None
        if time.monotonic() >= next_at:
            sampler.sample()
            next_at = max(next_at + interval_s, time.monotonic())
        if flush_asked:  # after SIGTERM comes SIGKILL: from now on nothing waits to be written
            sampler.flush()


def _take_marks(sampler: Sampler, host: HostSensor, marks: MarksSocket, beside: DryRunBeside) -> None:
    """Sample once, at the marks, so that an epoch shorter than the interval has its own readings."""
    found, words = marks.receive()
    if found:
        sampler.take_marks(found)
        if found[0].sender is not None:
            beside.begin(found[0].sender)
    for word in words:
        host.add_root(step_task(word.pid)[0])
        word.heed()


def _witness_signals(witness: int, flush_asked: list[int]) -> None:
    """Tell the recorder of every signal that came here too; the recorder started us with them blocked."""

    def note(number: int, _frame: object) -> None:
        if number not in HARMLESS:
            flush_asked.append(number)

    os.set_blocking(witness, False)
    for number in WITNESSED:
        signal.signal(number, note)
    # Written by the signal handler itself, one byte with the number, whatever Python is busy with.
    signal.set_wakeup_fd(witness, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())


def _count(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    return int(text) if text.isdecimal() else default


if __name__ == "__main__":
    main()
