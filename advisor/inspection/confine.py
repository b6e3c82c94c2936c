"""Start a program that can do no harm: ``python -I -m advisor.inspection.confine SCRATCH LIMITS WAYS PROGRAM...``.

LIMITS are ``MEMORY_BYTES,CPU_S,FILE_BYTES,PARENT``. The program gives way to everybody else, is the first to go where
memory runs out, ends with the process PARENT, has no capabilities, and writes nowhere but in SCRATCH, by the first of
WAYS (a list with commas) that this kernel has:

- ``landlock`` (Linux 5.13 and newer, where the site has not switched it off): writes nowhere else, reads no devices;
  from its fourth version on it opens no TCP connection, from its sixth it signals nobody outside.
- ``namespaces``: a mount namespace in which all else is read-only and without devices, in a user namespace.
- ``system_calls``: nothing here, so that until the script is read the interpreter runs as it would for its user.

Before the script is read, the interpreter takes from itself what more there is to take, by seccomp
(gsbatch_inside/sandbox/seccomp.py); without Landlock that is all opening for writing too. ``GSBATCH_CONFINED_BY`` tells
the program which way it was. System calls and constants: linux/landlock.h, linux/mount.h, linux/sched.h, linux/prctl.h,
linux/capability.h; Landlock's numbers are alike on every architecture.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import stat
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

LANDLOCK, NAMESPACES, SYSTEM_CALLS = "landlock", "namespaces", "system_calls"
WAYS = (LANDLOCK, NAMESPACES, SYSTEM_CALLS)
CONFINED_BY = "GSBATCH_CONFINED_BY"

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1
_PR_SET_PDEATHSIG, _PR_GET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 21, 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3, _MOST_CAPABILITIES = 0x20080522, 64
_WRITE_FILE, _READ_FILE = 1 << 1, 1 << 2
_REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))  # rmdir, unlink, mkdir, mknod of every kind, symlink
_REFER, _REFER_SINCE = 1 << 13, 2
_TRUNCATE, _TRUNCATE_SINCE = 1 << 14, 3
_BIND_AND_CONNECT_TCP, _TCP_SINCE = 0b11, 4
_IOCTL_DEVICE, _IOCTL_SINCE = 1 << 15, 5
_ABSTRACT_SOCKETS_AND_SIGNALS, _SCOPE_SINCE = 0b11, 6
_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000
_READ_ONLY, _NO_DEVICES, _REMOUNT, _BIND, _ALL_BELOW, _PRIVATE = 1, 4, 32, 4096, 16384, 1 << 18
_STRICT_ATIME = 1 << 24
# What a mount of the user namespace that it came from has, and must keep.
_KEPT = {"nosuid": 2, "noexec": 8, "nosymfollow": 256, "noatime": 1024, "nodiratime": 2048, "relatime": 1 << 21}
_WRITABLE_DEVICES = ("/dev/null", "/dev/zero", "/dev/full")
_READABLE_DEVICES = (*_WRITABLE_DEVICES, "/dev/random", "/dev/urandom")
# Data sets are put in shared memory; no terminal and no device lies there.
_READABLE_IN_DEV = (*_READABLE_DEVICES, "/dev/shm")  # noqa: S108 (nothing is made there)


def landlock_version() -> int:
    """Landlock's version in this kernel, 0 where there is none or it is switched off."""
    return max(int(_libc().syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)), 0)


def way_here(ways: tuple[str, ...] = WAYS) -> str:
    """The way of ``ways`` in which a dry run is kept from writing on this machine; "" where there is none."""
    with tempfile.TemporaryDirectory() as scratch:
        return _first_that_works(ways, scratch)


def main() -> None:
    """Confine this process, then become the program."""
    scratch, limits, ways, *command = sys.argv[1:]
    memory_bytes, cpu_s, file_bytes, parent = map(int, limits.split(","))
    _end_with(parent)
    _go_first()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The first limit's signal tells what ended the program; one that ignores it ends a second later.
    _lower(resource.RLIMIT_CPU, cpu_s, cpu_s + 1)
    _lower(resource.RLIMIT_DATA, memory_bytes, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, file_bytes, file_bytes)
    os.nice(19)
    way = _first_that_works(tuple(ways.split(",")), scratch)
    if way == NAMESPACES:
        _mount_read_only(scratch)
    _drop_capabilities()
    if way == LANDLOCK:
        _landlock(scratch)
    os.environ[CONFINED_BY] = way
    os.execv(command[0], command)  # noqa: S606 (no shell is meant: argv goes to the user's own interpreter)


def _first_that_works(ways: tuple[str, ...], scratch: str) -> str:
    for way in ways:
        if way == LANDLOCK and landlock_version():
            return way
        if way == NAMESPACES and _is_possible_in_a_child(scratch):
            return way
        if way == SYSTEM_CALLS and platform.machine() in {"x86_64", "aarch64"} and _libc().prctl(_PR_GET_SECCOMP) >= 0:
            return way
    return ""


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


def _drop_capabilities() -> None:
    """Root without capabilities makes no devices, mounts nothing and reads no raw disk; a program gets none back."""
    libc = _libc()
    for capability in range(_MOST_CAPABILITIES):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _landlock(scratch: str) -> None:
    """Confine this process and all that it starts.

    Raises:
        OSError: the kernel refuses.
    """
    version, libc = landlock_version(), _libc()
    changes = _WRITE_FILE | _REMOVE_AND_MAKE
    changes |= _REFER if version >= _REFER_SINCE else 0
    changes |= _TRUNCATE if version >= _TRUNCATE_SINCE else 0
    changes |= _IOCTL_DEVICE if version >= _IOCTL_SINCE else 0
    handled = struct.pack("=Q", changes | _READ_FILE)
    if version >= _TCP_SINCE:
        handled += struct.pack("=Q", _BIND_AND_CONNECT_TCP)
    if version >= _SCOPE_SINCE:
        handled += struct.pack("=Q", _ABSTRACT_SOCKETS_AND_SIGNALS)
    ruleset = _checked(libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0))
    _allow(libc, ruleset, scratch, changes | _READ_FILE)
    for path in _WRITABLE_DEVICES:
        _allow(libc, ruleset, path, _WRITE_FILE | (changes & _TRUNCATE))
    for path in (*_everything_but_devices(), *_READABLE_IN_DEV):
        _allow(libc, ruleset, path, _READ_FILE)
    _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _everything_but_devices() -> Iterator[str]:
    """All that lies in the root folder. What an automounter would mount there later would be covered by no rule."""
    automounted = {path for path, kind, _kept in _mounts() if kind == "autofs"}
    with os.scandir("/") as entries:
        for entry in entries:
            if entry.path in automounted:
                with contextlib.suppress(OSError), os.scandir(entry.path):
                    pass  # mounted by being opened
            if not os.path.realpath(entry.path).startswith("/dev"):
                yield entry.path


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not there, or not for this user
        return
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISDIR(kind):
        rights &= _WRITE_FILE | _READ_FILE | _TRUNCATE
    if not stat.S_ISLNK(kind):
        libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    os.close(descriptor)


def _is_possible_in_a_child(scratch: str) -> bool:
    """Whether namespaces can be made here; tried in a child, because nothing leads back out of half of them."""
    child = os.fork()
    if child == 0:
        try:
            _mount_read_only(scratch)
            os._exit(0)
        except OSError:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def _mount_read_only(scratch: str) -> None:
    """Enter a mount namespace in which only the scratch folder can be written to.

    Raises:
        OSError: the kernel or the site does not allow it, or a mount stays writable.
    """
    libc = _libc()
    user, group = os.getuid(), os.getgid()
    _checked(libc.unshare(_NEW_USERS | _NEW_MOUNTS))
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    _mount(libc, None, "/", _PRIVATE | _ALL_BELOW)
    _mount(libc, scratch, scratch, _BIND)
    for device in _READABLE_DEVICES:
        with contextlib.suppress(OSError):
            _mount(libc, device, device, _BIND)
    for path, _kind, kept in _mounts():
        if path in _READABLE_DEVICES:
            continue
        try:
            _mount(libc, None, path, _REMOUNT | _BIND | _NO_DEVICES | kept | (0 if path == scratch else _READ_ONLY))
        except OSError:
            if _is_writable(path):
                raise


def _mounts() -> Iterator[tuple[str, str, int]]:
    """Every mount point, its kind of file system, and the flags that it has to keep."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = line.split(" ")
        options = fields[5].split(",")
        kept = sum(flag for name, flag in _KEPT.items() if name in options)
        strict = 0 if kept & (_KEPT["noatime"] | _KEPT["relatime"]) else _STRICT_ATIME
        yield _unescaped(fields[4]), fields[fields.index("-") + 1], kept | strict


def _unescaped(path: str) -> str:
    for code in ("\\040", "\\011", "\\012", "\\134"):
        path = path.replace(code, chr(int(code[1:], 8)))
    return path


def _is_writable(path: str) -> bool:
    """Whether a mount can be reached and written to; one below another, or behind a closed folder, cannot."""
    try:
        return not os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return False


def _mount(libc: ctypes.CDLL, source: str | None, target: str, flags: int) -> None:
    origin = None if source is None else os.fsencode(source)
    _checked(libc.mount(origin, os.fsencode(target), None, ctypes.c_ulong(flags), None))


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    main()
