"""Run a command with its energy recorded: ``python -I -m advisor.telemetry.recorder --spool DIR [...] -- COMMAND``.

The command is this process's child. It keeps stdin, stdout, stderr, the terminal and the process group, gets every
signal once, and its exit status is ours (128+n for a signal). The standard library suffices here, so that starting
costs little and nothing that measures can harm what runs: sensors are read by the sampler, a process of its own, and
whatever of ours fails costs the record, not the command.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NoReturn

from advisor.rendering.recorder_options import RecorderOptions, parse_recorder_arguments
from advisor.submission.environment import inherited_environment
from advisor.telemetry.signals import WITNESSED, exit_status_of

INJECTED_FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "injected")
# How long a signal may take from us to the sampler, if it was sent to both.
_WITNESS_S = 0.1
# How long a trace may take to be closed after the command has ended, on a slow shared file system.
_CLOSING_S = 20.0
_SI_KERNEL = 128
# Where TMPDIR is full, or its name too long; the second is memory.
_TEMPORARY = ("/tmp", "/dev/shm")  # noqa: S108 (a folder 0700 is made there)
_USAGE, _NOT_EXECUTABLE, _NOT_FOUND = 2, 126, 127


class _Witness:
    """The sampler's word on which signals reached it as well."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._heard: list[tuple[int, float]] = []
        self._rest = b""

    def has_seen(self, number: int, since: float) -> bool:
        """Whether ``number`` reached the sampler at about the same time; waits a moment for the answer."""
        until = time.monotonic() + _WITNESS_S
        while True:
            if any(heard == number and at >= since - _WITNESS_S for heard, at in self._heard):
                self._heard = [item for item in self._heard if item[0] != number]
                return True
            left_s = until - time.monotonic()
            if left_s <= 0 or not select.select([self._descriptor], [], [], left_s)[0]:
                return False
            piece = os.read(self._descriptor, 4096)
            if not piece:  # the sampler is gone: nobody can say, and a lost signal is worse than a second one
                return False
            *lines, self._rest = (self._rest + piece).split(b"\n")
            for line in lines:
                heard, at = line.split()
                self._heard.append((int(heard), float(at)))


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
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {*WITNESSED, signal.SIGCHLD})
    marks, marks_path = _marks_socket()
    training = _start(command, options, marks_path, unblocked)
    sampler, control, witness = _start_sampler(command, options, training, marks)
    if marks is not None:
        marks.close()
    wait_status = _wait(training, witness)
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
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


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


def _wait(training: int, witness: _Witness | None) -> int:
    """Hand on signals until the training has ended; its wait status."""
    while True:
        caught = signal.sigwaitinfo({*WITNESSED, signal.SIGCHLD})
        if caught.si_signo == signal.SIGCHLD:
            pid, wait_status = os.waitpid(training, os.WNOHANG)
            if pid == training:
                return wait_status
            continue
        # The terminal signals the whole process group, Slurm often every process of a step: then the training has it.
        if caught.si_code == _SI_KERNEL:
            continue
        if witness is not None and witness.has_seen(caught.si_signo, time.monotonic()):
            continue
        try:
            os.kill(training, caught.si_signo)
        except ProcessLookupError:
            continue


def _start(
    command: Sequence[str], options: RecorderOptions, marks_path: str | None, unblocked: set[int | signal.Signals]
) -> int:
    """Start the training as the shell would; Python's own changes to signals are undone."""
    try:
        return os.posix_spawnp(
            command[0],
            list(command),
            _environment(inherited_environment(), marks_path, command, options),
            setsigmask=unblocked,
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )
    except OSError as exc:
        _warn(f"{command[0]}: {exc.strerror}")
        _remove(marks_path)
        os._exit(_NOT_FOUND if exc.errno == errno.ENOENT else _NOT_EXECUTABLE)


def _start_sampler(
    command: Sequence[str], options: RecorderOptions, training: int, marks: socket.socket | None
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
            ],
        )
    except OSError as exc:
        _warn(f"the job is not recorded: {exc}")
        return None, -1, None
    os.close(control_read)
    os.close(witness_write)
    return sampler, control_write, _Witness(witness_read)


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
    changed = dict(environment)
    if marks_path is not None:
        own = environment.get("PYTHONPATH")
        changed["PYTHONPATH"] = INJECTED_FOLDER + (os.pathsep + own if own else "")
        changed["GSBATCH_MARKS"] = marks_path
        if options.has_stop_rule:
            changed["GSBATCH_STOPS"] = "1"  # the hook asks at the end of epochs
        if "SLURMD_NODENAME" in environment:
            place = (environment["SLURMD_NODENAME"], environment.get("SLURM_STEP_ID", "batch"))
            changed["GSBATCH_PLACE"] = "/".join(place)
        if environment.get("SLURM_JOB_NUM_NODES", "1") != "1":
            program = [sys.executable, "-I", "-m", "advisor.telemetry.node_sampler"]
            changed["GSBATCH_SAMPLER"] = json.dumps([*program, *_sampler_arguments(command, options)])
    return changed


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
