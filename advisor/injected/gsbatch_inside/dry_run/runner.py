"""Run the user's script with its arguments until it ends, or its time is up, with training stubbed out.

What is found goes to the standard output that this process was started with; the script's own goes nowhere.

The specification: ``script``, ``arguments``, ``module`` (for ``python -m``), ``scratch``, ``wall_s``,
``after_fit_s``, ``gpus``, ``unconfined`` (run also where the kernel cannot keep the script in bounds).
"""

import json
import os
import runpy
import sys
import threading
import time
import traceback
from typing import Any, Callable, Dict

from ..contract import adapters
from ..sandbox import network, opened_outside, processes, seccomp
from ..sandbox.files import Mirror
from ..sandbox.reads import Reads
from . import mistakes, source
from .missing import Missing
from .progress import Progress
from .report import Report
from .session import DryRun

# The script's calls of ``time.sleep`` are cut to this: in a dry run there is nothing to wait for.
_LONGEST_PAUSE_S = 0.01
# After training was seen the script gets ``after_fit_s`` of CPU time, and on a busy machine at most this many times as
# much by the clock.
_WAITING = 3.0


def main(specification: str) -> None:
    """Run the script and end this process, even where the script would keep it alive."""
    spec: Dict[str, Any] = json.loads(specification)
    report = Report(os.dup(1))
    report.write({"started": "%d.%d.%d" % sys.version_info[:3]})
    _silence()
    if not _confine() and not spec.get("unconfined"):
        report.write({"ended": "unconfined"})
        os._exit(0)
    run = _Run(spec, report)
    run.prepare()
    run.end(run.script())


def _confine() -> bool:
    """Put the filter of system calls in place; False where this machine has none."""
    # A read-only mount does not keep anybody from writing to named pipes, so only Landlock lets files be opened here.
    # A wrapper of the interpreter that clears the environment leaves the strictest filter and no files to write.
    may_write = os.environ.pop("GSBATCH_CONFINED_BY", "") == "landlock"
    descriptor = os.environ.pop("GSBATCH_SCRATCH_FILES", "")
    if not seccomp.forbid(may_write=may_write):
        return False
    if not may_write and descriptor.isdigit():
        opened_outside.OpenedOutside(int(descriptor)).take_over()
    return True


class _Run:
    def __init__(self, spec: Dict[str, Any], report: Report) -> None:
        self._spec = spec
        self._session = DryRun(spec, report)
        self._reads = self._session.keep(Reads(spec["scratch"]))
        self._sleep = time.sleep
        self._ending = threading.Lock()

    def prepare(self) -> None:
        """Put all stand-ins in place."""
        threading.Thread(target=self._watch_the_clock, daemon=True).start()
        if self._spec["scratch"]:
            self._reads.watch()
            Mirror(self._spec["scratch"], self._reads).watch()
        processes.start_nothing(self._session.report.note)
        network.answer_nobody()
        time.sleep = _pause(self._sleep)  # type: ignore[assignment]
        for adapter in adapters("dry_run"):
            adapter.wait(self._session)
        Missing(self._session.source.needed, self._session.report.note).watch()
        source.watch_local_modules(self._session, os.path.dirname(os.path.realpath(self._session.script)))

    def script(self) -> str:
        """Run it; the text says how it ended, see ``mistakes.ended_by``."""
        script = self._session.script
        sys.argv = [script] + list(self._spec["arguments"])
        try:
            if self._spec.get("module"):
                sys.path[0] = os.getcwd()
                runpy.run_module(self._spec["module"], run_name="__main__", alter_sys=True)
            else:
                sys.path[0] = os.path.dirname(os.path.realpath(script))
                source.run_script(self._session, script)
        except SystemExit as exc:
            return mistakes.ended_by(exc, script)
        except BaseException as exc:  # an error of the script is a result of the dry run
            place = traceback.extract_tb(exc.__traceback__)
            if any(self._session.source.is_in_loop(frame.filename, frame.lineno or 0) for frame in place):
                self._session.tally.forget_the_end("the script failed in its training loop, in this dry run at least")
            return mistakes.ended_by(exc, script)
        return "end"

    def end(self, how: str, *, is_running: bool = False) -> None:
        """Sum up and end this process; the first to come does it, the script's thread or the clock's."""
        self._ending.acquire()
        self._session.guard(self._session.ledger.sum_up)(is_running=is_running)
        self._session.report.write({"reads": self._reads.summary()})
        self._session.report.write({"ended": how})
        os._exit(0)

    def _watch_the_clock(self) -> None:
        deadline, after_fit_s = time.monotonic() + self._spec["wall_s"], self._spec["after_fit_s"]
        progress = Progress(self._session.report.write, self._session.script)
        cpu_s_then = None
        while time.monotonic() < deadline:
            self._sleep(0.05)
            progress.look()
            if cpu_s_then is None and self._session.report.phases:
                cpu_s_then = time.process_time()
                deadline = min(deadline, time.monotonic() + _WAITING * after_fit_s)
            if cpu_s_then is not None and time.process_time() - cpu_s_then > after_fit_s:
                break
        self.end("time", is_running=True)


def _pause(sleep: Callable[[float], None]) -> Callable[[float], None]:
    def pause(seconds: float) -> None:
        # Other threads may sleep on purpose, such as one that polls.
        is_main = threading.current_thread() is threading.main_thread()
        sleep(min(seconds, _LONGEST_PAUSE_S) if is_main else seconds)

    return pause


def _silence() -> None:
    # Nobody reads what the script prints here. A script that prints a gigabyte must not block for want of a reader.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
