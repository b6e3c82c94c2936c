"""Start a program that can do no harm: ``python -I -m advisor.inspection.confine SCRATCH LIMITS WORD...``.

LIMITS are ``MEMORY_BYTES,CPU_S,FILE_BYTES,PARENT``. The program gives way to everybody else, is the first to go where
memory runs out, ends with the process PARENT, and by Landlock (Linux 5.13 and newer) writes nowhere but in SCRATCH;
from Landlock's fourth version on it opens no TCP connection, from its sixth it signals nobody outside. What more is
taken from a Python script: gsbatch_inside/sandbox/seccomp.py. System calls and constants: linux/landlock.h; the numbers
are the same on every architecture.

Exit status 96: this kernel cannot keep the program from writing, and ``GSBATCH_UNCONFINED`` is not set.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import stat
import struct
import sys
from pathlib import Path

CANNOT_CONFINE = 96
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_WRITE_FILE = 1 << 1
_REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))  # rmdir, unlink, mkdir, mknod of every kind, symlink
_REFER, _REFER_SINCE = 1 << 13, 2
_TRUNCATE, _TRUNCATE_SINCE = 1 << 14, 3
_BIND_AND_CONNECT_TCP, _TCP_SINCE = 0b11, 4
_ABSTRACT_SOCKETS_AND_SIGNALS, _SCOPE_SINCE = 0b11, 6


def landlock_version() -> int:
    """Landlock's version in this kernel, 0 where there is none or it is switched off."""
    return max(int(_libc().syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)), 0)


def main() -> None:
    """Confine this process, then become the program."""
    scratch, limits, *words = sys.argv[1:]
    memory_bytes, cpu_s, file_bytes, parent = map(int, limits.split(","))
    _end_with(parent)
    _go_first()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The first limit's signal tells what ended the program; one that ignores it ends a second later.
    _lower(resource.RLIMIT_CPU, cpu_s, cpu_s + 1)
    _lower(resource.RLIMIT_DATA, memory_bytes, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, file_bytes, file_bytes)
    os.nice(19)
    if not _confine_writes(scratch) and "GSBATCH_UNCONFINED" not in os.environ:
        sys.exit(CANNOT_CONFINE)
    os.execv(words[0], words)  # noqa: S606 (no shell is meant: argv goes to the user's own interpreter)


def _end_with(parent: int) -> None:
    """Have the kernel end this process when the one that started it is gone, however that ended."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was gone before this was arranged
        sys.exit()


def _go_first() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _lower(limit: int, soft: int, hard: int) -> None:
    most = resource.getrlimit(limit)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(limit, (soft, hard))


def _confine_writes(scratch: str) -> bool:
    version = landlock_version()
    if not version:
        return False
    libc = _libc()
    files = _WRITE_FILE | _REMOVE_AND_MAKE
    files |= _REFER if version >= _REFER_SINCE else 0
    files |= _TRUNCATE if version >= _TRUNCATE_SINCE else 0
    handled = struct.pack("=Q", files)
    if version >= _TCP_SINCE:
        handled += struct.pack("=Q", _BIND_AND_CONNECT_TCP)
    if version >= _SCOPE_SINCE:
        handled += struct.pack("=Q", _ABSTRACT_SOCKETS_AND_SIGNALS)
    ruleset = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if ruleset < 0:
        return False
    for path in (scratch, "/dev/null", "/dev/zero"):
        _allow(libc, ruleset, path, files)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    confined = int(libc.syscall(_RESTRICT_SELF, ruleset, 0)) == 0
    os.close(ruleset)
    return confined


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, files: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        files &= _WRITE_FILE | _TRUNCATE
    libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", files, descriptor), 0)
    os.close(descriptor)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    main()
