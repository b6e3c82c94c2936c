"""Programs that a script would start are not started: they "succeed" with no output."""

import io
import multiprocessing
import os
import queue
import subprocess
import threading
from typing import Any, Callable

from ..post_import import when_imported
from . import programs

_MOST_WORKERS = 2
# What platform.processor() and matplotlib's list of fonts ask for, whatever the script does.
_ASKED_ON_IMPORT = ("uname", "fc-list")


class _NothingRun(subprocess.Popen):  # type: ignore[type-arg]
    """A Popen whose program ends well, without a process; what it would say is seldom known (programs.py)."""

    _note: Callable[[str], None] = staticmethod(lambda _text: None)

    def __init__(self, args: Any, *_args: Any, **kwargs: Any) -> None:
        self.args = args
        self.pid = os.getpid()
        self.returncode = 0
        self._text = bool(
            kwargs.get("text") or kwargs.get("universal_newlines") or kwargs.get("encoding") or kwargs.get("errors")
        )
        mode = "r" if self._text else "rb"
        self.stdin: Any = open(os.devnull, mode.replace("r", "w")) if kwargs.get("stdin") == subprocess.PIPE else None
        answer = programs.answer_of(args)
        self._answer: Any = answer if self._text else answer.encode()
        said = io.StringIO(answer) if self._text else io.BytesIO(answer.encode())
        self.stdout: Any = said if kwargs.get("stdout") == subprocess.PIPE else None
        self.stderr: Any = open(os.devnull, mode) if kwargs.get("stderr") == subprocess.PIPE else None
        name = programs.in_words(args)
        if not answer and not name.startswith(_ASKED_ON_IMPORT):
            self._note("the dry run did not start: " + name[:80])

    def __enter__(self) -> "_NothingRun":
        return self

    def __exit__(self, *_exc: Any) -> None:
        return

    def __del__(self, *_args: Any) -> None:
        return

    def communicate(self, input: Any = None, timeout: Any = None) -> Any:  # noqa: A002 (Popen's own name)
        empty: Any = "" if self._text else b""
        return (self._answer if self.stdout else None, empty if self.stderr else None)

    def wait(self, timeout: Any = None) -> int:
        return 0

    def poll(self) -> int:
        return 0

    def send_signal(self, sig: int) -> None:
        return

    kill = terminate = lambda self: None


def start_nothing(note: Callable[[str], None]) -> None:
    """Put the stand-ins in place; ``note`` is told what was not started."""

    class NothingRun(_NothingRun):
        _note = staticmethod(note)

    subprocess.Popen = NothingRun  # type: ignore[misc]
    os.system = lambda command: 0
    for name in ("posix_spawn", "posix_spawnp", "spawnv", "spawnve", "spawnvp", "spawnl", "spawnlp"):
        if hasattr(os, name):
            setattr(os, name, lambda *args, **kwargs: os.getpid())
    _run_processes_here()
    _pool_threads()
    _share_among_threads()


def _run_processes_here() -> None:
    # A process that trains (spawned by the script itself) is run in place; workers are not needed.
    from multiprocessing import process

    process.BaseProcess.start = lambda self: self.run()  # type: ignore[method-assign]
    process.BaseProcess.join = lambda self, timeout=None: None  # type: ignore[method-assign]
    process.BaseProcess.is_alive = lambda self: False  # type: ignore[method-assign]
    process.BaseProcess.exitcode = property(lambda self: 0)  # type: ignore[method-assign,assignment]


def _pool_threads() -> None:
    # A worker that is run in place would wait for its work for ever.
    from concurrent import futures

    class Pool(futures.ThreadPoolExecutor):
        def __init__(self, max_workers: Any = None, *_args: Any, **_kwargs: Any) -> None:
            super().__init__(min(max_workers or _MOST_WORKERS, _MOST_WORKERS))

    def pool(self: Any, processes: Any = None, *args: Any, **_kwargs: Any) -> Any:
        from multiprocessing.pool import ThreadPool

        return ThreadPool(min(processes or _MOST_WORKERS, _MOST_WORKERS), *args[:2])

    futures.ProcessPoolExecutor = Pool  # type: ignore[misc,assignment]
    _offer("Pool", pool)
    when_imported("multiprocessing.pool", _make_pool_of_threads)


def _make_pool_of_threads(module: Any) -> None:
    # For scripts that take the class Pool from where it is defined.
    original = module.Pool

    def init(self: Any, processes: Any = None, initializer: Any = None, initargs: Any = ()) -> None:
        original.__init__(self, processes, initializer, initargs)

    class Pool(module.ThreadPool):
        if hasattr(original, "_wait_for_updates"):  # Python 3.8 and newer; ThreadPool's own is none that works
            _wait_for_updates = staticmethod(original._wait_for_updates)

        def __init__(self, processes: Any = None, initializer: Any = None, initargs: Any = (), *_args: Any, **_: Any):
            super().__init__(min(processes or _MOST_WORKERS, _MOST_WORKERS), initializer, initargs)

    module.ThreadPool.__init__ = init  # it names Pool, which is another from now on
    module.Pool = Pool


def _share_among_threads() -> None:
    # Semaphores and shared memory lie in /dev/shm, where nothing may be written; threads share all there is anyway.
    from multiprocessing import heap

    for name in ("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier"):
        _offer(name, _of_this_process(getattr(threading, name)))
    for name in ("Queue", "JoinableQueue"):
        _offer(name, _of_this_process(_ClosingQueue))
    heap.Arena._dir_candidates = []  # type: ignore[attr-defined]


def _offer(name: str, make: Any) -> None:
    # multiprocessing keeps bound methods of its first context as functions of its own. Asking for the context would
    # settle how processes are started, which a script may do once.
    setattr(multiprocessing.context.BaseContext, name, make)
    setattr(multiprocessing, name, getattr(multiprocessing.context._default_context, name))


def _of_this_process(kind: Any) -> Any:
    return lambda self, *args, **kwargs: kind(*args, **kwargs)


class _ClosingQueue(queue.Queue):  # type: ignore[type-arg]
    def close(self) -> None:
        return

    join_thread = cancel_join_thread = close
