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
from typing import Any, Dict

from ..sandbox import files, network, opened_outside, processes, reads, seccomp
from . import adapters, arguments, loop_source, mistakes, progress, report, source, tally

_deadline = [0.0]
_sleep = time.sleep
# A pause of the script's own waits for nobody here, and its training is looked for until a deadline.
_LONGEST_PAUSE_S = 0.01
# On a busy machine CPU time takes longer: how much longer is waited for it.
_WAITING = 3.0


def main(specification: str) -> None:
    """Run the script and end this process, whatever the script thinks of that."""
    spec: Dict[str, Any] = json.loads(specification)
    report.start(os.dup(1))
    report.write({"started": "%d.%d.%d" % sys.version_info[:3]})
    _silence()
    if not _confine() and not spec.get("unconfined"):
        _end("unconfined")
    _deadline[0] = time.monotonic() + spec["wall_s"]
    _watch_the_clock(spec["after_fit_s"], progress.Progress(report.write, spec["script"]))
    if spec["scratch"]:
        files.mirror_writes(spec["scratch"])
        reads.watch(spec["scratch"])
    processes.start_nothing()
    network.answer_nobody()
    arguments.watch()
    time.sleep = _pause
    adapters.hook(spec)
    source.watch_local_modules(os.path.dirname(os.path.realpath(spec["script"])))
    _end(_run(spec))


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


def _run(spec: Dict[str, Any]) -> str:
    script = spec["script"]
    sys.argv = [script] + list(spec["arguments"])
    try:
        if spec.get("module"):
            sys.path[0] = os.getcwd()
            runpy.run_module(spec["module"], run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = os.path.dirname(os.path.realpath(script))
            source.run_script(script)
    except SystemExit as exc:
        return mistakes.ended_by(exc, script)
    except BaseException as exc:  # the script's own mistakes are facts about it, not failures of ours
        place = traceback.extract_tb(exc.__traceback__)
        if any(loop_source.is_in_loop(frame.filename, frame.lineno or 0) for frame in place):
            tally.forget_the_end("the script failed in its training loop, in this dry run at least")
        return mistakes.ended_by(exc, script)
    return "end"


def _pause(seconds: Any) -> None:
    # Other threads may be meant to wait for ever.
    is_main = threading.current_thread() is threading.main_thread()
    _sleep(min(seconds, _LONGEST_PAUSE_S) if is_main else seconds)


def _silence() -> None:
    # What the script prints is nobody's to read here, and a script that prints a gigabyte must not wait for a reader.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _watch_the_clock(after_fit_s: float, seen: progress.Progress) -> None:
    def watch() -> None:
        cpu_s_then = None
        while time.monotonic() < _deadline[0]:
            _sleep(0.05)
            seen.look()
            if cpu_s_then is None and report.phases():
                cpu_s_then = time.process_time()
                _deadline[0] = min(_deadline[0], time.monotonic() + _WAITING * after_fit_s)
            if cpu_s_then is not None and time.process_time() - cpu_s_then > after_fit_s:
                break
        _end("time")

    threading.Thread(target=watch, daemon=True).start()


def _end(how: str) -> None:
    report.finish()
    report.write({"reads": reads.summary()})
    report.write({"ended": how})
    os._exit(0)
