"""Take from this process every system call that a dry run does not need, for all threads and for good.

Landlock (advisor/inspection/confine.py) sees to what is written; this filter sees to the rest: no
process is made (threads stay), no program is started, no socket reaches anything, and nothing is done to another
process. It is an allow list (system_calls.py). Calls whose arguments decide are judged here. A call that is not allowed
gets an error and never ends the process, so that C libraries can fall back to an older call.

The filter is put in place in the user's interpreter and not before, because what is started may be a shell script that
starts the interpreter (pyenv, module wrappers). Where the kernel has no Landlock, it denies all opening for writing as
well, and files are opened by gsbatch itself (opened_outside.py).

Constants: linux/seccomp.h, linux/filter.h, linux/prctl.h, asm/ioctls.h, asm-generic/fcntl.h.
"""

import ctypes
import errno
import os
import platform
import stat
import struct
from typing import Dict, Iterable, List, Optional, Tuple

from . import system_calls

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_LOAD, _IF_EQUAL, _IF_ABOVE, _IF_ABOVE_OR_EQUAL, _AND, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16

# Of each architecture: AUDIT_ARCH_*, and the place of its numbers in the tables.
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

_CLONE_THREAD = 0x00010000
_CLONE_NEW = 0x7E020000  # namespaces of every kind
_SOCKET_KIND, _SOCK_STREAM = 0xF, 1  # a pair of datagram sockets could be turned to any address
_QUERY_PERSONALITY = 0xFFFFFFFF
# Copy a descriptor, its flags, the state of locks, pipe sizes, seals. Not: owners and signals of a descriptor, leases,
# notifications and sizes of pipes, which others feel.
_FCNTL = (0, 1, 2, 3, 4, 5, 9, 36, 1030, 1032, 1033, 1034)
_FCNTL_LOCKS = (6, 7, 37, 38)  # pretended: another process may wait for the lock of a file open for reading
# FIONREAD, FIONBIO, FIONCLEX, FIOCLEX; what isatty() and the size of a terminal ask: TCGETS, TCGETS2, TIOCGWINSZ.
_IOCTL = (0x541B, 0x5421, 0x5450, 0x5451, 0x5401, 0x802C542A, 0x5413)
# Names of threads and mappings, no_new_privs, timer slack, transparent huge pages of this process, and questions.
_PRCTL = (3, 15, 16, 21, 23, 27, 30, 29, 38, 39, 41, 42, 0x53564D41)
_PR_SET_PDEATHSIG = 1  # pretended: gsbatch set it to end with itself
_WRITING = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC
_PLAIN_FILES = (0, stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK)

_Instruction = Tuple[int, int, int, int]
_ALLOW: _Instruction = (_RETURN, 0, 0, 0x7FFF0000)


def _answer(code: int) -> _Instruction:
    return (_RETURN, 0, 0, 0x00050000 | code)


_PRETEND, _NOT_PERMITTED, _UNKNOWN = _answer(0), _answer(errno.EPERM), _answer(errno.ENOSYS)
_NOT_A_TERMINAL, _INVALID, _NO_ACCESS = _answer(errno.ENOTTY), _answer(errno.EINVAL), _answer(errno.EACCES)


def forbid(*, may_write: bool) -> bool:
    """Put the filter in place for all threads of this process; False where kernel or architecture has none.

    Args:
        may_write: whether files may be opened for writing, because the kernel keeps that to the scratch folder.
    """
    architecture, place = _ARCHITECTURES.get(platform.machine(), (0, 0))
    if not architecture or struct.calcsize("P") != 8:
        return False
    steps = program(architecture, place, own_pid=os.getpid(), may_write=may_write)
    packed = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    filter_ = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    number = ctypes.c_long(system_calls.REFUSED["seccomp"][place] or 0)
    return int(libc.syscall(number, ctypes.c_long(_SET_MODE_FILTER), ctypes.c_long(_ALL_THREADS), filter_)) == 0


def program(architecture: int, place: int, *, own_pid: int, may_write: bool) -> List[_Instruction]:
    """The filter for one architecture: AUDIT_ARCH_*, and the place of its numbers in the tables."""
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IF_EQUAL, 1, 0, architecture),
        _UNKNOWN,  # 32-bit calls have numbers of their own
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    allowed = list(system_calls.ALLOWED.values())
    refused = list(system_calls.REFUSED.values())
    (allowed if may_write else refused).extend(system_calls.CHANGES.values())
    steps += _on_any(_numbers(allowed, place), _ALLOW)
    for name, block in _judged(own_pid, may_write=may_write).items():
        number = system_calls.JUDGED[name][place]
        steps += [] if number is None else [(_IF_EQUAL, 0, len(block), number), *block]
    steps += _on_any(_numbers(system_calls.PRETENDED.values(), place), _PRETEND)
    steps += _on_any(_numbers(refused, place), _NOT_PERMITTED)
    return [*steps, _UNKNOWN]


def _judged(own_pid: int, *, may_write: bool) -> Dict[str, List[_Instruction]]:
    """Of each call that its arguments decide, what is done; every block ends in an answer."""
    threads_only = _where(_argument(0), _CLONE_THREAD | _CLONE_NEW, (_CLONE_THREAD,), _NOT_PERMITTED)
    itself = _where(_argument(0), None, (own_pid,), _NOT_PERMITTED)
    locks = [step for lock in _FCNTL_LOCKS for step in ((_IF_EQUAL, 0, 1, lock), _PRETEND)]
    prctl = [_argument(0), (_IF_EQUAL, 0, 1, _PR_SET_PDEATHSIG), _PRETEND]
    return {
        "clone": threads_only,
        "clone3": [_UNKNOWN],  # its flags lie in memory, where a filter cannot look: C libraries fall back to clone
        "kill": itself,
        "tgkill": itself,
        "prlimit64": _where(_argument(0), None, (0, own_pid), _NOT_PERMITTED),
        "sched_setaffinity": _where(_argument(0), None, (0, own_pid), _PRETEND),  # another thread's, of this process
        "prctl": prctl + _where(_argument(0), None, _PRCTL, _INVALID),
        "personality": _where(_argument(0), None, (_QUERY_PERSONALITY,), _NOT_PERMITTED),
        "socketpair": _where(_argument(1), _SOCKET_KIND, (_SOCK_STREAM,), _NOT_PERMITTED),
        "ioctl": _where(_argument(1), None, _IOCTL, _NOT_A_TERMINAL),
        "fcntl": [_argument(1), *locks, *_where(_argument(1), None, _FCNTL, _NOT_PERMITTED)],
        "open": _opening(1, may_write=may_write),
        "openat": _opening(2, may_write=may_write),
        "mknod": _making(1, may_write=may_write),
        "mknodat": _making(2, may_write=may_write),
    }


def _opening(flags: int, *, may_write: bool) -> List[_Instruction]:
    if not may_write:
        return _where(_argument(flags), _WRITING, (os.O_RDONLY,), _NO_ACCESS)
    # Linux truncates with O_RDONLY | O_TRUNC too, which Landlock before its third version does not see.
    truncates_by_reading = (_IF_EQUAL, 0, 1, os.O_TRUNC)
    return [_argument(flags), (_AND, 0, 0, os.O_TRUNC | os.O_ACCMODE), truncates_by_reading, _NO_ACCESS, _ALLOW]


def _making(mode: int, *, may_write: bool) -> List[_Instruction]:
    """No device is made, whoever is logged in."""
    return _where(_argument(mode), stat.S_IFMT(0xFFFF), _PLAIN_FILES if may_write else (), _NOT_PERMITTED)


def _where(
    argument: _Instruction, mask: Optional[int], values: Iterable[int], otherwise: _Instruction
) -> List[_Instruction]:
    """Allow the call where an argument, or its bits of a mask, is one of some values."""
    steps = [argument] if mask is None else [argument, (_AND, 0, 0, mask)]
    for value in values:
        steps += [(_IF_EQUAL, 0, 1, value), _ALLOW]
    return [*steps, otherwise]


def _on_any(numbers: List[int], answer: _Instruction) -> List[_Instruction]:
    """Answer calls of these numbers: one comparison for one, two for a range."""
    steps: List[_Instruction] = []
    for first, last in _ranges(numbers):
        if first == last:
            steps += [(_IF_EQUAL, 0, 1, first), answer]
        else:
            steps += [(_IF_ABOVE_OR_EQUAL, 0, 2, first), (_IF_ABOVE, 1, 0, last), answer]
    return steps


def _ranges(numbers: List[int]) -> List[Tuple[int, int]]:
    found: List[Tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _numbers(calls: Iterable[system_calls.Numbers], place: int) -> List[int]:
    return [number for call in calls for number in [call[place]] if number is not None]


def _argument(position: int) -> _Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * position)  # its lower half, little-endian: all that int arguments have
