"""Signals that end, ask or tell a job something, and what the recorder and the sampler do with them."""

from __future__ import annotations

import os
import signal

# Stop and continue stay with the kernel, which gives them to the whole process group; KILL cannot be caught.
WITNESSED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGWINCH,
    signal.SIGXCPU,
)
SHELL_SIGNAL_BASE = 128
_NUMBERS = frozenset(int(number) for number in signal.Signals)


def exit_status_of(wait_status: int) -> tuple[int, str]:
    """A ``waitpid`` status as the shell's exit status (128+n for signal n), and in words."""
    code = os.waitstatus_to_exitcode(wait_status)
    if code >= 0:
        return code, "exited"
    return SHELL_SIGNAL_BASE - code, f"signal {signal.Signals(-code).name}" if -code in _NUMBERS else f"signal {-code}"
