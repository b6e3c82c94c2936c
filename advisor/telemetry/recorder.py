"""Run a command with its energy recorded: ``python -I -m advisor.telemetry.recorder --spool DIR [...] -- COMMAND``.

The command is this process's child. It keeps stdin, stdout, stderr, the terminal and the process group, gets every
signal once, and its exit status is ours (128+n for a signal). The standard library suffices here, so that starting
costs little and nothing that measures can harm what runs: sensors are read by the sampler, a process of its own, and
whatever of ours fails costs the record, not the command.
"""

from __future__ import annotations

import _thread
import argparse
import contextlib
import errno
import json
import os
import select
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from advisor.rendering.recorder_options import RecorderOptions, parse_recorder_arguments
from advisor.submission.environment import INJECTED_FOLDER, inherited_environment, without_recording
from advisor.telemetry.signals import HANDED_ON, exit_status_of

# How long a signal may take from us to the sampler, if it was sent to both.
_WITNESS_S = 0.2
# How long a trace may take to be closed after the command has ended, on a slow shared file system.
_CLOSING_S = 20.0
_SI_KERNEL = 128
_STDERR = 2
# Where TMPDIR is full, or its name too long; the second is memory.
_TEMPORARY = ("/tmp", "/dev/shm")  # noqa: S108 (a folder 0700 is made there)
_USAGE, _NOT_EXECUTABLE, _NOT_FOUND = 2, 126, 127


class _Witness:
    """What the sampler tells of signals that reached it as well: one byte each, the signal's number."""

    def __init__(self, descriptor: int, sampler: int) -> None:
        self.descriptor: int | None = descriptor
        self._sampler = sampler
        self._heard: list[tuple[int, float]] = []
        self._to_be_told: list[int] = []

    def listen(self) -> None:
        """Read what has come. A sampler that has ended tells nothing more."""
        if self.descriptor is None:
            return
        piece = os.read(self.descriptor, 4096)
        if not piece:
            os.close(self.descriptor)
            self.descriptor = None
        now = time.monotonic()
        for number in piece:
            if number in self._to_be_told:
                self._to_be_told.remove(number)
            else:
                self._heard.append((number, now))

    def has_seen(self, number: int, since: float) -> bool:
        """Whether ``number`` reached the sampler at about the same time; each word counts for one signal."""
        self._heard = [(heard, at) for heard, at in self._heard if at >= since - _WITNESS_S]
        for index, (heard, _at) in enumerate(self._heard):
            if heard == number:
                del self._heard[index]
                return True
        return False

    def will_see(self, number: int) -> bool:
        """Whether ``number`` has been sent to the sampler, which a busy machine has not let run since."""
        try:
            with open(f"/proc/{self._sampler}/status", encoding="ascii", errors="replace") as file:
                pending = next(line.split()[1] for line in file if line.startswith("ShdPnd:"))
        except (OSError, StopIteration):
            return False
        if not int(pending, 16) >> (number - 1) & 1:
            return False
        self._to_be_told.append(number)
        return True


class _Signals:
    """Signals for the training, in the order in which they came, and its wait status when it has ended.

    A thread takes each signal from the kernel as it comes: while one waited to be judged, the kernel would merge others
    of its number and reorder the rest.
    """

    def __init__(self, training: int) -> None:
        self._training = training
        self._wake, self._woken = os.pipe()
        self._caught: list[tuple[int, float]] = []
        self._waiting: list[tuple[int, float]] = []
        self._wait_status: int | None = None

    def wait(self, witness: _Witness | None) -> int:
        """Hand on signals until the training has ended; its wait status."""
        try:
            _thread.start_new_thread(self._catch, (self._keep,))
        except RuntimeError:  # no more threads for this user: handed on at once, perhaps twice
            self._catch(self._hand_on)
        while self._wait_status is None:
            watched = [self._wake]
            if witness is not None and witness.descriptor is not None:
                watched.append(witness.descriptor)
            ready, _, _ = select.select(watched, [], [], self._longest_s())
            if self._wake in ready:
                os.read(self._wake, 4096)
            if witness is not None and witness.descriptor in ready:
                witness.listen()
            self._judge(witness)
        return self._wait_status

    def _catch(self, take: Callable[[int], None]) -> None:
        while self._wait_status is None:
            caught = signal.sigwaitinfo(HANDED_ON | {signal.SIGCHLD})
            if caught.si_signo == signal.SIGCHLD:
                pid, wait_status = os.waitpid(self._training, os.WNOHANG)
                if pid != self._training:
                    continue
                self._wait_status = wait_status
                os.write(self._woken, b"!")
            elif caught.si_code == _SI_KERNEL:
                # The terminal signals the whole process group: the training has it, and the shell waits for us to stop.
                if caught.si_signo == signal.SIGTSTP:
                    os.kill(os.getpid(), signal.SIGSTOP)
            else:
                take(caught.si_signo)

    def _keep(self, number: int) -> None:
        self._caught.append((number, time.monotonic()))
        os.write(self._woken, b"!")

    def _hand_on(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._training, number)

    def _longest_s(self) -> float | None:
        return max(self._waiting[0][1] + _WITNESS_S - time.monotonic(), 0.0) if self._waiting else None

    def _judge(self, witness: _Witness | None) -> None:
        """Hand on the first signals of which it is known that the training did not get them as well."""
        while self._caught:
            self._waiting.append(self._caught.pop(0))
        while self._waiting:
            number, at = self._waiting[0]
            if witness is None or not witness.has_seen(number, at):
                can_be_seen = witness is not None and witness.descriptor is not None
                if can_be_seen and time.monotonic() < at + _WITNESS_S:
                    return
                if witness is None or not witness.will_see(number):
                    self._hand_on(number)
            del self._waiting[0]


class _Parser(argparse.ArgumentParser):
    """Raises where its base would end the process, with a training still to be run."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def main() -> None:
    """Run the command, recorded; exit with its status."""
    try:
        options, command = _options(sys.argv[1:])
    except ValueError as exc:
        _run_plainly(sys.argv[1:], str(exc))
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, HANDED_ON | {signal.SIGCHLD})
    closed = _fill_standard_descriptors()
    marks, marks_path = _marks_socket()
    training = _start(command, options, marks_path, unblocked)
    sampler, control, witness = _start_sampler(command, options, training, marks, closed)
    if marks is not None:
        marks.close()
    wait_status = _Signals(training).wait(witness)
    status, reason = exit_status_of(wait_status)
    if sampler is not None:
        _close_trace(sampler, control, status, reason)
    _remove(marks_path)
    if os.WIFSIGNALED(wait_status) and _is_batch_process():
        _die_by(os.WTERMSIG(wait_status))
    os._exit(status)


def _is_batch_process() -> bool:
    """Whether Slurm itself waits for us: it tells a death by signal from an exit status, and shows it in sacct."""
    try:
        with open(f"/proc/{os.getppid()}/comm", encoding="ascii", errors="replace") as file:
            return file.read().startswith("slurmstepd")
    except OSError:
        return False


def _die_by(number: int) -> None:
    """End as the training did, without a core file of ours."""
    import resource  # noqa: PLC0415 (rarely needed, and starting must be cheap)

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


def _run_plainly(arguments: Sequence[str], why: str) -> NoReturn:
    """Become the command that stands after ``--``: whatever is wrong with the recording is no reason not to train."""
    _warn(f"the job is not recorded: {why}")
    command = list(arguments[arguments.index("--") + 1 :]) if "--" in arguments else []
    if not command:
        _warn("no command after --")
        os._exit(_USAGE)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 (no shell is the point)
    except OSError as exc:
        _warn(f"{command[0]}: {exc.strerror}")
        os._exit(_NOT_FOUND if exc.errno == errno.ENOENT else _NOT_EXECUTABLE)


def _start(
    command: Sequence[str], options: RecorderOptions, marks_path: str | None, unblocked: set[int | signal.Signals]
) -> int:
    """Start the training as the shell would; Python's own changes to signals are undone."""
    environment = _environment(inherited_environment(), marks_path, command, options)

    def spawn(started: Sequence[str]) -> int:
        return os.posix_spawnp(
            started[0],
            list(started),
            environment,
            setsigmask=unblocked,
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )

    try:
        try:
            return spawn(command)
        except OSError as exc:
            if exc.errno != errno.ENOEXEC:
                raise
            return spawn(["/bin/sh", *command])  # a text without a first line that names its interpreter
    except OSError as exc:
        _warn(f"{command[0]}: {exc.strerror}")
        _remove(marks_path)
        os._exit(_NOT_FOUND if exc.errno == errno.ENOENT else _NOT_EXECUTABLE)


def _fill_standard_descriptors() -> frozenset[int]:
    """Open /dev/null where stdin, stdout or stderr is closed, for us alone: another file could get that number.

    Returns the numbers that were closed, which the training finds closed as well.
    """
    closed = set()
    with contextlib.suppress(OSError):  # no /dev/null, or no descriptor left
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
            closed.add(descriptor)
        os.close(descriptor)
    return frozenset(closed)


def _start_sampler(
    command: Sequence[str],
    options: RecorderOptions,
    training: int,
    marks: socket.socket | None,
    closed: frozenset[int],
) -> tuple[int | None, int, _Witness | None]:
    """Start the sampler with the signals still blocked: it unblocks them when it can witness them."""
    try:
        if marks is None:  # a socket that nobody writes to
            marks = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        control_read, control_write = os.pipe()
        witness_read, witness_write = os.pipe()
        descriptors = (control_read, witness_write, marks.fileno())
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        # fmt: off
        channels = [
            "--control", str(control_read), "--witness", str(witness_write), "--marks", str(marks.fileno()),
            "--training-pid", str(training),
        ]
        # fmt: on
        sampler = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-m", "advisor.telemetry.sampler", *channels, *_sampler_arguments(command, options)],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                *([(os.POSIX_SPAWN_OPEN, _STDERR, os.devnull, os.O_WRONLY, 0)] if _STDERR in closed else []),
            ],
        )
    except OSError as exc:
        _warn(f"the job is not recorded: {exc}")
        return None, -1, None
    os.close(control_read)
    os.close(witness_write)
    return sampler, control_write, _Witness(witness_read, sampler)


def _sampler_arguments(command: Sequence[str], options: RecorderOptions) -> list[str]:
    """What the sampler of any node is told; it leaves this folder at once."""
    folder = os.getcwd()
    return ["--fallback", folder, *options.seen_from(folder).to_arguments(), "--", *command]


def _close_trace(sampler: int, control: int, status: int, reason: str) -> None:
    """Tell the sampler how the training ended and give it time to write that down."""
    try:
        os.write(control, json.dumps({"exit_status": status, "reason": reason}).encode())
    except OSError:  # it was killed; the trace ends where it did
        return
    os.close(control)
    until = time.monotonic() + _CLOSING_S
    while time.monotonic() < until:
        try:
            if os.waitpid(sampler, os.WNOHANG)[0] == sampler:
                return
        except ChildProcessError:
            return
        signal.sigtimedwait({signal.SIGCHLD}, 0.05)
    _warn("the trace could not be closed in time")


def _marks_socket() -> tuple[socket.socket | None, str | None]:
    """A datagram socket in a folder of the user's own: writing to it never blocks and never signals the training."""
    try:
        marks = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        marks.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # the kernel tells the sampler who writes
    except OSError:
        return None, None
    for place in (os.environ.get("TMPDIR"), *_TEMPORARY):
        folder = os.path.join(place or _TEMPORARY[0], f"gsbatch-{os.getpid()}-{os.urandom(4).hex()}")
        path = os.path.join(folder, "marks")
        try:
            os.mkdir(folder, 0o700)
            marks.bind(path)
        except OSError:  # no space, or a path too long for a socket
            _remove(path)
        else:
            return marks, path
    marks.close()  # the run counts as one epoch
    return None, None


def _environment(
    environment: Mapping[str, str], marks_path: str | None, command: Sequence[str], options: RecorderOptions
) -> dict[str, str]:
    """The training's environment: its own, and what lets the hook start in Python, on this node and on others."""
    changed = without_recording(environment)
    if marks_path is not None:
        own = changed.get("PYTHONPATH")
        changed["GSBATCH_JOB"] = _this_job(environment)
        changed["PYTHONPATH"] = INJECTED_FOLDER + (os.pathsep + own if own else "")
        changed["GSBATCH_MARKS"] = marks_path
        if options.has_stop_rule:
            changed["GSBATCH_STOPS"] = "1"  # the hook asks at the end of epochs
        if "SLURMD_NODENAME" in environment:
            place = (environment["SLURMD_NODENAME"], environment.get("SLURM_STEP_ID", "batch"))
            changed["GSBATCH_PLACE"] = "/".join(place)
        if environment.get("SLURM_JOB_NUM_NODES", "1") != "1":
            changed["GSBATCH_SAMPLER"] = _node_sampler(command, options)
    return changed


def _this_job(environment: Mapping[str, str]) -> str:
    """Cluster, job and attempt, which the hook compares with its own; outside Slurm no job's id is like it."""
    names = (("SLURM_CLUSTER_NAME", ""), ("SLURM_JOB_ID", "none"), ("SLURM_RESTART_COUNT", "0"))
    return "/".join(environment.get(name, default) for name, default in names)


def _node_sampler(command: Sequence[str], options: RecorderOptions) -> str:
    """What a shell on another node runs to have that node measured; its own arguments are the hook's to say."""
    program = shlex.quote(sys.executable)
    arguments = shlex.join(_sampler_arguments(command, options))
    return f'[ -x {program} ] || exit 1; {program} -I -m advisor.telemetry.node_sampler "$@" {arguments} &'


def _remove(marks_path: str | None) -> None:
    if marks_path is None:
        return
    for remove, path in ((os.unlink, marks_path), (os.rmdir, os.path.dirname(marks_path))):
        try:
            remove(path)
        except OSError:
            continue


def _warn(message: str) -> None:
    try:
        os.write(2, f"gsbatch: {message}\n".encode(errors="replace"))
    except OSError:
        return


def _options(arguments: Sequence[str]) -> tuple[RecorderOptions, list[str]]:
    parser = _Parser(prog="gsbatch-recorder", description=__doc__, allow_abbrev=False)
    options, found = parse_recorder_arguments(parser, arguments)
    return options, found.command


if __name__ == "__main__":
    main()
