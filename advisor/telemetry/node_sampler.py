"""The sampler of a node on which no recorder runs: started by the first task of a step there, ended with its last.

Nobody hands it the training's exit status, and Slurm kills what a step leaves behind: it closes the trace when the
last task says that it ends, and writes every sample at once when a signal says that the end is near.
"""

from __future__ import annotations

import argparse
import os
import select
import shutil
import signal
import sys
import time

import psutil

from advisor.rendering.recorder_options import parse_recorder_arguments
from advisor.telemetry.gpu_choice import environment_of_step
from advisor.telemetry.host import HostSensor, step_task
from advisor.telemetry.marks_socket import MarksSocket, TaskWord
from advisor.telemetry.sampler import Sampler, open_sampler
from advisor.telemetry.signals import HARMLESS, WITNESSED

# The first task names itself as soon as it has started us.
_FIRST_WORD_S = 30.0
_ENDING = {"exit_status": None, "reason": "the step's tasks ended"}


class StepTasks:
    """The tasks of a step on this node, as far as Python runs in them.

    Args:
        expected: how many Slurm starts here; a step whose tasks do not all run Python ends with its slurmstepd.
        host: told of each.
    """

    def __init__(self, expected: int, host: HostSensor) -> None:
        self._expected = expected
        self._host = host
        self._tasks: set[int] = set()
        self._ended: set[int] = set()
        self._pythons: set[int] = set()
        self._daemon: int | None = None

    def take(self, word: TaskWord) -> None:
        """A task's first Python begins, or ends. It is the task itself that counts, which may be a shell."""
        task, daemon = step_task(word.pid)
        if word.kind == "task_begin":
            self._daemon = daemon or self._daemon
            self._tasks.add(task)
            self._pythons.add(word.pid)
            self._host.add_root(task)
        else:
            self._pythons.discard(word.pid)
            if task == word.pid:
                self._ended.add(task)

    def may_have_ended(self) -> bool:
        """Whether no Python is left that named itself: a task that is a shell or MPI's daemon says no last word."""
        self._pythons = {pid for pid in self._pythons if psutil.pid_exists(pid)}
        return bool(self._tasks) and not self._pythons

    def have_ended(self) -> bool:
        """Whether nothing more will come."""
        if not self._tasks:
            return False
        if self._daemon is not None and not psutil.pid_exists(self._daemon):
            return True
        self._ended |= {task for task in self._tasks if not psutil.pid_exists(task)}
        is_complete = len(self._tasks) >= self._expected or self._daemon is None
        return is_complete and self._tasks <= self._ended


def main() -> None:
    """Sample until the step has ended on this node."""
    parser = argparse.ArgumentParser(prog="gsbatch-node-sampler", description="Started by the hook, not by hand.")
    parser.add_argument("--folder", required=True, help="of the socket; removed at the end")
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--marks", type=int, required=True)
    parser.add_argument("--fallback", required=True)
    options, own = parse_recorder_arguments(parser, sys.argv[1:])
    os.chdir("/")  # a folder that we stand in could not be unmounted
    signals: list[int] = []
    for number in WITNESSED:
        signal.signal(number, lambda number, _frame: None if number in HARMLESS else signals.append(number))
    host = HostSensor()
    sampler = open_sampler(options, own, environment_of_step(os.environ), host, os.environ.get("SLURM_STEP_ID"))
    # Slurm waits for everyone who holds a task's stderr; warnings have been given.
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    waiting = _sample_until_the_end(sampler, StepTasks(own.tasks, host), own.marks, options.interval_s, signals)
    shutil.rmtree(own.folder, ignore_errors=True)
    sampler.sample()
    sampler.close(_ENDING)
    for word in waiting:
        word.heed()


def _sample_until_the_end(
    sampler: Sampler, tasks: StepTasks, marks_socket: int, interval_s: float, signals: list[int]
) -> list[TaskWord]:
    """Returns the last words, which wait until the trace is closed."""
    marks = MarksSocket(marks_socket)
    begun_s = time.monotonic()
    next_s = begun_s + interval_s
    has_tasks = False
    while has_tasks or time.monotonic() < begun_s + _FIRST_WORD_S:
        ready, _, _ = select.select([marks], [], [], max(next_s - time.monotonic(), 0.0))
        found, words = marks.receive() if ready else ([], [])
        if found:
            sampler.take_marks(found)
        for word in words:
            tasks.take(word)
            has_tasks = True
        if tasks.have_ended():
            return words
        if time.monotonic() >= next_s or words:
            sampler.sample()
            next_s = max(next_s + interval_s, time.monotonic())
        if tasks.may_have_ended():
            sampler.end_for_now(_ENDING)
        elif signals or words:
            sampler.flush()
        for word in words:
            word.heed()
    return []


if __name__ == "__main__":
    main()
