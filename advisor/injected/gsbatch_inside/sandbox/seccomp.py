"""Take from this process what a dry run has no need of: other processes, other programs, sockets, others' files' modes.

Landlock (advisor/inspection/confine.py) sees to what is written; a seccomp filter sees to the rest, for all threads
and for good. It is put in place here, in the user's interpreter: what is started may be a shell script
that starts the real one. Denied are all ways to make a process (threads stay), so a script cannot fork
without end, leave a daemon or call sbatch. Changes of mode, owner and times are pretended, because programs make them
for files of their own too. Numbers: asm/unistd_64.h (x86-64), asm-generic/unistd.h (AArch64); alike from 424 on.
"""

import ctypes
import errno
import os
import platform
import struct
from typing import Dict, List, Optional, Tuple

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_PRETEND = 0
_CLONE_THREAD = 0x00010000
_FIRST_UNKNOWN_CALL = 470

_LOAD, _IF_EQUAL, _IF_ABOVE_OR_EQUAL, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16

# Of each architecture: AUDIT_ARCH_*, and the place of its numbers in the table below.
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

_Numbers = Tuple[Optional[int], Optional[int]]
_CALLS: Dict[int, Dict[str, _Numbers]] = {
    _PRETEND: {
        "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
        "chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54),
        "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
        "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
        "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
        "file_setattr": (469, 469),
    },
    errno.ENOSYS: {  # what a caller goes without on an older kernel: C libraries fall back to calls that can be judged
        "clone3": (435, 435), "openat2": (437, 437), "memfd_create": (319, 279), "memfd_secret": (447, 447),
        "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    },
    errno.EPERM: {
        "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
        "socket": (41, 198), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
        "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "ptrace": (101, 117),
        "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "truncate": (76, 45),
        "open_by_handle_at": (304, 265), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190),
        "mq_open": (240, 180), "mq_unlink": (241, 181), "add_key": (248, 217), "request_key": (249, 218),
        "keyctl": (250, 219), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
        "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
        "setns": (308, 268), "open_tree": (428, 428), "fsopen": (430, 430), "mount_setattr": (442, 442),
        "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143),
        "setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159), "setfsuid": (122, 151),
        "setfsgid": (123, 152), "capset": (126, 91),
    },
}  # fmt: skip

_CLONE, _SOCKETPAIR, _KILL, _TGKILL = (56, 220), (53, 199), (62, 129), (234, 131)
_OPEN, _OPENAT, _IOCTL, _PRCTL, _SECCOMP = (2, None), (257, 56), (16, 29), (157, 167), (317, 277)
_SOCKET_KIND = 0xF
_SOCK_STREAM = 1  # a pair of datagram sockets could be turned to any address
# To type for the user (TIOCSTI, TIOCLINUX), to take a terminal (TIOCSCTTY), to set attributes (FS_IOC_SETFLAGS, and
# FS_IOC_FSSETXATTR), which asks no more than a file that is open for reading.
_IOCTLS = (0x5412, 0x541C, 0x540E, 0x40086602, 0x401C5820)

_Instruction = Tuple[int, int, int, int]


def forbid() -> bool:
    """Put the filter in place for all threads of this process; False where kernel or architecture has none."""
    architecture, place = _ARCHITECTURES.get(platform.machine(), (0, 0))
    if not architecture or struct.calcsize("P") != 8:
        return False
    program = b"".join(struct.pack("=HBBI", *step) for step in _program(architecture, place, os.getpid()))
    steps = ctypes.create_string_buffer(program, len(program))
    filter_ = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(steps)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    number = ctypes.c_long(_SECCOMP[place])
    return int(libc.syscall(number, ctypes.c_long(_SET_MODE_FILTER), ctypes.c_long(_ALL_THREADS), filter_)) == 0


def _program(architecture: int, place: int, own_pid: int) -> List[_Instruction]:
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL_PROCESS),  # 32-bit calls have numbers of their own
        (_LOAD, 0, 0, _NUMBER_AT),
        (_IF_ABOVE_OR_EQUAL, 0, 1, _FIRST_UNKNOWN_CALL),  # x86-64's x32 calls too
        _refuse(errno.ENOSYS),
    ]
    for code, calls in _CALLS.items():
        for numbers in calls.values():
            program += _on_call(numbers[place], [_refuse(code)])
    for numbers, block in _judged_by_arguments(own_pid):
        program += _on_call(numbers[place], block)
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _judged_by_arguments(own_pid: int) -> List[Tuple[_Numbers, List[_Instruction]]]:
    allow, deny = (_RETURN, 0, 0, _ALLOW), _refuse(errno.EPERM)
    thread = [_argument(0), (_AND, 0, 0, _CLONE_THREAD), (_IF_EQUAL, 0, 1, _CLONE_THREAD), allow, deny]
    stream = [_argument(1), (_AND, 0, 0, _SOCKET_KIND), (_IF_EQUAL, 0, 1, _SOCK_STREAM), allow, deny]
    itself = [_argument(0), (_IF_EQUAL, 0, 1, own_pid), allow, deny]
    keep_parent = [_argument(0), (_IF_EQUAL, 0, 1, _PR_SET_PDEATHSIG), _refuse(_PRETEND), allow]
    controls = [_argument(1)]
    for request in _IOCTLS:
        controls += [(_IF_EQUAL, 0, 1, request), deny]
    return [
        (_CLONE, thread),
        (_SOCKETPAIR, stream),
        (_KILL, itself),
        (_TGKILL, itself),
        (_PRCTL, keep_parent),
        (_IOCTL, [*controls, allow]),
        (_OPEN, _truncating_by_reading(1)),
        (_OPENAT, _truncating_by_reading(2)),
    ]


def _truncating_by_reading(flags: int) -> List[_Instruction]:
    # Linux truncates with O_RDONLY | O_TRUNC too, which Landlock before its third version does not see.
    allow, deny = (_RETURN, 0, 0, _ALLOW), _refuse(errno.EPERM)
    return [_argument(flags), (_AND, 0, 0, os.O_TRUNC | os.O_ACCMODE), (_IF_EQUAL, 0, 1, os.O_TRUNC), deny, allow]


def _on_call(number: Optional[int], block: List[_Instruction]) -> List[_Instruction]:
    return [] if number is None else [(_IF_EQUAL, 0, len(block), number), *block]


def _argument(position: int) -> _Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * position)  # its lower half, little-endian: all that int arguments have


def _refuse(code: int) -> _Instruction:
    return (_RETURN, 0, 0, _ERRNO | code)
