"""The one place where an error becomes words on stderr and an exit status."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from advisor.errors import AdvisorError

if TYPE_CHECKING:
    import click

INTERRUPTED = 130  # 128 + SIGINT, as shells say it


def handle_errors(command: click.Command, *, prog_name: str) -> NoReturn:
    """Run a click command and exit: 0, the error class's own status, or 130 for Ctrl-C.

    A reader that went away (``gsinfo | head``) is no error.
    """
    import click  # noqa: PLC0415 (gsbatch uses this module without click)

    try:
        status: Any = command.main(prog_name=prog_name, standalone_mode=False)
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
    sys.exit(status if isinstance(status, int) else 0)


def forget_stdout() -> None:
    """Let Python's own flush at exit go nowhere: whoever read stdout has left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report_error(error: AdvisorError, prog_name: str) -> int:
    """Print an error and its next step; the exit status to end with."""
    sys.stderr.write(f"{prog_name}: {error}\n")
    if error.hint:
        sys.stderr.write(f"{prog_name}: {error.hint}\n")
    return error.exit_status
