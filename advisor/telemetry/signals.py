"""Signals that end, ask or tell a job something, and what the recorder and the sampler do with them."""

from __future__ import annotations

import os
import signal

# KILL and STOP cannot be caught; CHLD tells the recorder that the training has ended.
HANDED_ON = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
# The kernel sends SEGV, BUS, FPE and ILL for a fault of the sampler's own, which a handler would repeat for ever.
# Python ignores PIPE and XFSZ, and a process that caught TTIN or TTOU would retry its terminal for ever.
WITNESSED = HANDED_ON - {
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGTTIN,
    signal.SIGTTOU,
}
# After these a job goes on as before; after any other SIGKILL may follow soon.
HARMLESS = frozenset({signal.SIGCONT, signal.SIGURG, signal.SIGWINCH, signal.SIGTSTP, signal.SIGIO})
SHELL_SIGNAL_BASE = 128
_NUMBERS = frozenset(int(number) for number in signal.Signals)


def exit_status_of(wait_status: int) -> tuple[int, str]:
    """A ``waitpid`` status as the shell's exit status (128+n for signal n), and in words."""
    code = os.waitstatus_to_exitcode(wait_status)
    if code >= 0:
        return code, "exited"
    return SHELL_SIGNAL_BASE - code, f"signal {signal.Signals(-code).name}" if -code in _NUMBERS else f"signal {-code}"
