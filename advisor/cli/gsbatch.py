"""``gsbatch``: sbatch that knows what a training will cost.

This module decides which mode runs; heavy modules load only where they are needed, so that ``--help`` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import advisor
from advisor.cli.errors import INTERRUPTED, forget_stdout, leave, prepare_streams, report_error, report_full_output
from advisor.cli.gsbatch_help import HELP
from advisor.errors import AdvisorError, SlurmError
from advisor.request.command_line import CommandLine, Mode, facts, parse_command_line, setting_texts
from advisor.submission.environment import inherited_environment, without_recording
from advisor.submission.real_sbatch import NAME, SbatchCall, call_of_wrapper, sbatch_call

PROG_NAME = "gsbatch"
_VERSION_TIMEOUT_S = 15.0


def main() -> None:
    """Entry point."""
    environment = without_recording(inherited_environment())  # what the job inherits: nothing of the line below
    # One prediction is too small to share out: on a busy login node a second thread makes it ten times slower.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    prepare_streams()
    try:
        leave(gsbatch(sys.argv[1:], environment))
    except AdvisorError as exc:
        sys.exit(report_error(exc, PROG_NAME))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        forget_stdout()
        sys.exit(0)
    except OSError as exc:
        sys.exit(report_full_output(exc, PROG_NAME))


def gsbatch(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Do what the arguments ask for; the exit status.

    Raises:
        AdvisorError: nothing was submitted, and why.
    """
    wrapped = call_of_wrapper(environment)
    if wrapped is not None:
        _become(wrapped, arguments)
    line = parse_command_line(arguments, unknown_takes_value=_plugin_option_takes_value)
    if line.has("help"):
        sys.stdout.write(HELP)
        return 0
    if line.has("version") and os.path.basename(sys.argv[0]) != NAME:  # noqa: PTH119 (pathlib is slow to load)
        return _show_versions(environment)
    _check_own_options(line)
    if line.mode is Mode.SUBMIT:
        return _submit(line, environment)
    from advisor.cli.gsbatch_modes import run_without_submission  # noqa: PLC0415 (keeps --help quick)

    status = run_without_submission(line, environment)
    sys.stdout.flush()
    return status


def _show_versions(environment: Mapping[str, str]) -> int:
    """Gsbatch's version, then what sbatch says of its own where there is one; sbatch's exit status.

    A gsbatch that goes by the name of sbatch says only what sbatch says: programs read that line.
    """
    from advisor import slurm  # noqa: PLC0415 (keeps --help quick)

    sys.stdout.write(f"gsbatch {advisor.__version__}\n")
    sys.stdout.flush()
    try:
        call = sbatch_call(environment)
        answer = slurm.ask(
            (NAME, "--version"), timeout_s=_VERSION_TIMEOUT_S, environment=call.environment, program=call.program
        )
    except SlurmError:
        return 0
    sys.stdout.write(answer.stdout)
    sys.stderr.write(answer.stderr)
    return answer.returncode


def _submit(line: CommandLine, environment: Mapping[str, str]) -> int:
    from advisor.cli.supervised import supervised  # noqa: PLC0415 (keeps --help quick)

    child = supervised(lambda text: _tell(line, text), reads_stdin=line.reads_stdin)
    if child is None:
        _become(sbatch_call(environment), line.sbatch_arguments)
    try:
        from advisor.cli.gsbatch_submission import run_submission  # noqa: PLC0415 (an import that fails costs no job)

        return run_submission(line, environment, child)
    except (AdvisorError, KeyboardInterrupt):
        raise
    except BaseException as exc:  # a fault or a broken installation of ours must not cost the user a job
        if child.has_begun:
            raise
        child.failed(f"{type(exc).__name__}: {exc}")


def _tell(line: CommandLine, text: str) -> None:
    if not line.has("quiet"):
        sys.stderr.write(f"gsbatch: {text}\n")
        sys.stderr.flush()


def _become(call: SbatchCall, arguments: Sequence[str]) -> NoReturn:
    os.execve(call.program, [NAME, *arguments], dict(call.environment))  # noqa: S606 (no shell is wanted)


def _check_own_options(line: CommandLine) -> None:
    """Refuse a mistake in gsbatch's options, as sbatch does for its own. No later failure of ours costs the job."""
    if not line.own:
        return
    from advisor.inspection.facts import read_facts  # noqa: PLC0415 (keeps --help quick)
    from advisor.inspection.workload import Source  # noqa: PLC0415 (keeps --help quick)
    from advisor.settings import check_texts  # noqa: PLC0415 (keeps --help quick)

    check_texts(setting_texts(line.own))
    read_facts(facts(line.own), Source.OPTION)


def _plugin_option_takes_value(name: str) -> bool:
    from advisor.submission.submit import plugin_option_takes_value  # noqa: PLC0415 (keeps --help quick)

    return plugin_option_takes_value(name)
