"""Errors become a message on stderr and an exit status here and nowhere else."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from advisor.errors import AdvisorError
from advisor.storage.plain_text import escaped

if TYPE_CHECKING:
    import click

# A message may quote a value of any length.
_MOST_SHOWN = 1000
INTERRUPTED = 130  # 128 + SIGINT, as shells say it


def handle_errors(command: click.Command, *, prog_name: str) -> NoReturn:
    """Run a click command and exit: 0, the error class's own status, or 130 for Ctrl-C.

    A closed pipe (``gsinfo | head``) is no error.
    """
    import click  # noqa: PLC0415 (gsbatch uses this module without click)

    prepare_streams()
    try:
        status: Any = command.main(prog_name=prog_name, standalone_mode=False)
        sys.stdout.flush()
    except AdvisorError as exc:
        sys.exit(report_error(exc, prog_name))
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        forget_stdout()
        sys.exit(0)
    except OSError as exc:
        sys.exit(report_full_output(exc, prog_name))
    sys.exit(status if isinstance(status, int) else 0)


def prepare_streams() -> None:
    """Make the standard streams usable, whatever they were started with.

    A stream that is closed becomes the null device: its number would else be given to the next file that is opened.
    What the locale cannot spell is written with backslashes rather than not at all.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # takes the lowest free number
            setattr(sys, name, os.fdopen(null, "r" if number == 0 else "w", encoding="utf-8"))
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def leave(status: int) -> NoReturn:
    """Exit with this status; output that cannot be written, to a full disk or a closed pipe, is dropped."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _forget(stream)
    sys.exit(status)


def forget_stdout() -> None:
    """Send what Python still flushes at exit to the null device, because the reader of stdout has gone."""
    _forget(sys.stdout)


def _forget(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def report_full_output(error: OSError, prog_name: str) -> int:
    """Report that the disk under stdout is full; the exit status. Other OSErrors are raised again."""
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        raise error
    try:
        sys.stdout.flush()
    except OSError:
        forget_stdout()
    sys.stderr.write(f"{prog_name}: the output cannot be written: {error.strerror}\n")
    return 1


def report_error(error: AdvisorError, prog_name: str) -> int:
    """Print an error and its next step; the exit status to end with."""
    for text in (str(error), error.hint):
        if text:
            shown = "\n".join(escaped(line) for line in text.splitlines())  # it may quote what anybody wrote
            sys.stderr.write(f"{prog_name}: {_shortened(shown)}\n")
    return error.exit_status


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN // 2]} ... {text[-_MOST_SHOWN // 2 :]}"
