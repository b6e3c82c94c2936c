"""What a script may try against its user's files, terminals and other processes, one system call an attempt.

Run as a script, plainly or in a dry run: ``attempts.py TARGETS NAMES...``, where TARGETS is JSON with ``pid`` (a
process), ``folder`` (with the files of victim.py) and ``terminal`` (a pseudo-terminal). Each result is ``done`` or the
name of an errno. They are reported as notes of the dry run, or printed where there is none.
"""

# ruff: noqa: D102 (the name of each method is the system call that it attempts, and what with)
from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import platform
import signal
import stat
import struct
import sys
from collections.abc import Callable

libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"
# asm/unistd_64.h, asm-generic/unistd.h: what the C library has no function for.
NUMBERS = {
    "ioprio_set": (251, 30), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "clone": (56, 220), "clone3": (435, 435), "io_uring_setup": (425, 425),
    "process_madvise": (440, 440), "migrate_pages": (256, 238), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "add_key": (248, 217), "init_module": (175, 105), "pivot_root": (155, 41),
    "sched_setattr": (314, 274), "openat2": (437, 437), "memfd_create": (319, 279), "quotactl": (179, 60),
    "open_by_handle_at": (304, 265), "execveat": (322, 281), "file_setattr": (469, 469), "mount_setattr": (442, 442),
}  # fmt: skip
AT_FDCWD = -100
USR1 = int(signal.SIGUSR1)


def call(name: str, *arguments: object) -> int:
    """Make a system call, by the C library's function or by number."""
    ctypes.set_errno(0)
    plain = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    if name in NUMBERS:
        return int(libc.syscall(ctypes.c_long(NUMBERS[name][ARM]), *plain))
    function = getattr(libc, name)
    function.restype = ctypes.c_long if name == "mmap" else ctypes.c_int
    return int(function(*plain))


def packed(layout: str, *values: int) -> ctypes.Array[ctypes.c_char]:
    """A structure that the kernel reads."""
    return ctypes.create_string_buffer(struct.pack(layout, *values))


class Targets:
    """What is attempted, each method one thing; the answer is that of the last system call."""

    def __init__(self, pid: int, folder: str, terminal: str) -> None:
        self.pid, self.folder, self.terminal = pid, folder, terminal
        self.file = f"{folder}/precious".encode()
        self.new = f"{folder}/made".encode()

    # Other processes

    def kill(self) -> int:
        return call("kill", self.pid, USR1)

    def kill_everybody(self) -> int:
        return call("kill", -1, 0)

    def kill_own_group(self) -> int:
        return call("kill", 0, 0)

    def tgkill(self) -> int:
        return call("tgkill", self.pid, self.pid, USR1)

    def rt_sigqueueinfo(self) -> int:
        return call("rt_sigqueueinfo", self.pid, USR1, packed("iii116x", USR1, 0, -1))

    def pidfd_send_signal(self) -> int:
        return call("pidfd_send_signal", call("pidfd_open", self.pid, 0), USR1, None, 0)

    def prlimit(self) -> int:
        return call("prlimit", self.pid, 7, packed("QQ", 32, 32), None)

    def setpriority(self) -> int:
        return call("setpriority", 0, self.pid, 15)

    def sched_setaffinity(self) -> int:
        return call("sched_setaffinity", self.pid, 8, packed("Q", 1))

    def sched_setscheduler(self) -> int:
        return call("sched_setscheduler", self.pid, 5, packed("i", 0))

    def sched_setattr(self) -> int:
        return call("sched_setattr", self.pid, packed("IIQiI24x", 48, 5, 0, 0, 0), 0)

    def ioprio_set(self) -> int:
        return call("ioprio_set", 1, self.pid, 3 << 13)

    def ptrace_seize(self) -> int:
        return call("ptrace", 0x4206, self.pid, None, None)

    def process_vm_writev(self) -> int:
        place = packed("QQ", 0, 0)
        return call("process_vm_writev", self.pid, place, 1, place, 1, 0)

    def process_madvise(self) -> int:
        return call("process_madvise", call("pidfd_open", self.pid, 0), packed("QQ", 0, 0), 1, 21, 0)

    def migrate_pages(self) -> int:
        return call("migrate_pages", self.pid, 1, None, None)

    def write_proc_oom_score_adj(self) -> int:
        return self._write(f"/proc/{self.pid}/oom_score_adj".encode(), b"1000")

    def write_proc_mem(self) -> int:
        return call("open", f"/proc/{self.pid}/mem".encode(), os.O_RDWR)

    def fcntl_f_setown(self) -> int:
        """Have the kernel signal another process when a pipe is written to."""
        reading, writing = os.pipe()
        call("fcntl", reading, 10, USR1)
        call("fcntl", reading, 4, 0o20000)
        answer = call("fcntl", reading, 8, self.pid)
        os.write(writing, b"x")
        return answer

    # New processes

    def fork(self) -> int:
        return self._ended(call("fork"))

    def clone(self) -> int:
        return self._ended(call("clone", int(signal.SIGCHLD), None, None, None, None))

    def clone3(self) -> int:
        return self._ended(call("clone3", packed("QQQQQQQQ", 0, 0, 0, 0, int(signal.SIGCHLD), 0, 0, 0), 64))

    def execve(self) -> int:
        return call("execve", b"/nonexistent", None, None)

    def execveat(self) -> int:
        return call("execveat", AT_FDCWD, b"/nonexistent", None, None, 0)

    def setsid(self) -> int:
        return call("setsid")

    def io_uring_setup(self) -> int:
        return call("io_uring_setup", 1, packed("120x"))

    # Terminals

    def read_terminal(self) -> int:
        return self._read(self.terminal.encode())

    def write_terminal(self) -> int:
        return self._write(self.terminal.encode(), b"x")

    def ioctl_tiocsti(self) -> int:
        return self._ioctl(self.terminal.encode(), 0x5412, ctypes.create_string_buffer(b"x"))

    def ioctl_tcsets(self) -> int:
        return self._ioctl(self.terminal.encode(), 0x5402, packed("60x"))

    def ioctl_tiocsctty(self) -> int:
        return self._ioctl(self.terminal.encode(), 0x540E, None)

    def ioctl_tiocswinsz(self) -> int:
        return self._ioctl(self.terminal.encode(), 0x5414, packed("HHHH", 7, 7, 7, 7))

    # Files

    def open_to_write(self) -> int:
        return self._write(self.file, b"x")

    def open_truncating(self) -> int:
        return call("open", self.file, os.O_RDONLY | os.O_TRUNC)

    def openat2_to_write(self) -> int:
        return call("openat2", AT_FDCWD, self.file, packed("QQQ", os.O_RDWR, 0, 0), 24)

    def truncate(self) -> int:
        return call("truncate", self.file, 0)

    def creat(self) -> int:
        return call("creat", self.new, 0o600)

    def mkdir(self) -> int:
        return call("mkdir", self.new + b".folder", 0o700)

    def mknod_file(self) -> int:
        return call("mknod", self.new + b".file", 0o100600, 0)

    def mknod_device(self) -> int:
        return call("mknod", self.new + b".disk", 0o060600, os.makedev(254, 0))

    def mknod_device_in_scratch(self) -> int:
        return call("mknod", f"{os.environ['TMPDIR']}/disk".encode(), 0o060600, os.makedev(254, 0))

    def mkfifo(self) -> int:
        return call("mkfifo", self.new + b".fifo", 0o600)

    def symlink(self) -> int:
        return call("symlink", b"/", self.new + b".symlink")

    def link(self) -> int:
        return call("link", self.file, self.new + b".link")

    def rename(self) -> int:
        return call("rename", f"{self.folder}/renamed".encode(), self.new + b".renamed")

    def unlink(self) -> int:
        return call("unlink", f"{self.folder}/removed".encode())

    def rmdir(self) -> int:
        return call("rmdir", f"{self.folder}/empty".encode())

    def chmod(self) -> int:
        return call("chmod", self.file, 0o777)

    def chown(self) -> int:
        return call("chown", self.file, os.getuid() + 1, -1)

    def utimes(self) -> int:
        return call("utimes", self.file, None)

    def setxattr(self) -> int:
        return call("setxattr", self.file, b"user.gsbatch", b"x", 1, 0)

    def ioctl_fs_ioc_setflags(self) -> int:
        return self._ioctl(self.file, 0x40086602, packed("l", 0x40))  # no dump

    def ioctl_ficlone(self) -> int:
        return self._ioctl(self.file, 0x40049409, None)

    def flock(self) -> int:
        return call("flock", os.open(self.file, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def fcntl_f_setlk(self) -> int:
        return call("fcntl", os.open(self.file, os.O_RDONLY), 6, packed("hhqqi", fcntl.F_RDLCK, 0, 0, 0, 0))

    def fcntl_f_setlease(self) -> int:
        return call("fcntl", os.open(self.file, os.O_RDONLY), 1024, fcntl.F_RDLCK)

    def fcntl_f_notify(self) -> int:
        return call("fcntl", os.open(self.folder, os.O_RDONLY), 1026, 2)

    def inotify_init(self) -> int:
        return call("inotify_init")

    def mmap_shared(self) -> int:
        return call("mmap", None, 4096, 3, 1, os.open(self.file, os.O_RDONLY), 0)

    def write_named_pipe(self) -> int:
        return self._write(f"{self.folder}/pipe".encode(), b"x")

    def open_by_handle_at(self) -> int:
        return call("open_by_handle_at", AT_FDCWD, packed("II8x", 8, 1), os.O_RDWR)

    def write_dev_shm(self) -> int:
        return call("open", f"/dev/shm/{os.path.basename(self.folder)}".encode(), os.O_RDWR | os.O_CREAT, 0o600)  # noqa: S108, PTH119

    # Talking to others

    def socket_inet(self) -> int:
        return call("socket", 2, 1, 0)

    def socket_unix(self) -> int:
        return call("socket", 1, 2, 0)

    def socket_netlink(self) -> int:
        return call("socket", 16, 3, 0)

    def socketpair_datagram(self) -> int:
        return call("socketpair", 1, 2, 0, packed("8x"))

    def bind_of_a_pair(self) -> int:
        pair = (ctypes.c_int * 2)()
        call("socketpair", 1, 1, 0, pair)
        return call("bind", pair[0], ctypes.create_string_buffer(struct.pack("H", 1) + self.new + b".socket"), 110)

    def shmget(self) -> int:
        return call("shmget", self.pid, 4096, 0o1600)

    def msgget(self) -> int:
        return call("msgget", self.pid, 0o1600)

    def semget(self) -> int:
        return call("semget", self.pid, 1, 0o1600)

    def mq_open(self) -> int:
        return call("mq_open", f"/gsbatch-{self.pid}".encode(), os.O_RDWR | os.O_CREAT, 0o600, None)

    def add_key(self) -> int:
        return call("add_key", b"user", b"gsbatch", b"x", 1, -4)

    # The machine

    def mount(self) -> int:
        return call("mount", b"none", f"{self.folder}/empty".encode(), b"tmpfs", 0, None)

    def mount_setattr(self) -> int:
        return call("mount_setattr", AT_FDCWD, b"/", 0, packed("QQQQ", 0, 1, 0, 0), 32)

    def pivot_root(self) -> int:
        return call("pivot_root", b".", b".")

    def chroot(self) -> int:
        return call("chroot", b"/")

    def unshare_users(self) -> int:
        return call("unshare", 0x10000000)

    def setuid(self) -> int:
        return call("setuid", os.getuid())

    def sethostname(self) -> int:
        return call("sethostname", os.uname().nodename.encode(), len(os.uname().nodename))

    def settimeofday(self) -> int:
        return call("settimeofday", packed("qq", 0, 0), None)

    def init_module(self) -> int:
        return call("init_module", None, 0, b"")

    def swapon(self) -> int:
        return call("swapon", b"/nonexistent", 0)

    def quotactl(self) -> int:
        return call("quotactl", 0, None, 0, None)

    def bpf(self) -> int:
        return call("bpf", 0, packed("120x"), 120)

    def perf_event_open(self) -> int:
        return call("perf_event_open", packed("II112x", 1, 128), self.pid, -1, -1, 0)

    def userfaultfd(self) -> int:
        return call("userfaultfd", 1)

    def personality(self) -> int:
        return call("personality", 0x0040000)

    def prctl_set_ptracer(self) -> int:
        return call("prctl", 0x59616D61, -1, 0, 0, 0)

    def prctl_set_pdeathsig(self) -> int:
        return call("prctl", 1, 0, 0, 0, 0)

    def memfd_create(self) -> int:
        return call("memfd_create", b"x", 0)

    def _ioctl(self, path: bytes, request: int, argument: object) -> int:
        descriptor = call("open", path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        return descriptor if descriptor < 0 else call("ioctl", descriptor, request, argument)

    def _read(self, path: bytes) -> int:
        descriptor = call("open", path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        return descriptor if descriptor < 0 else call("read", descriptor, ctypes.create_string_buffer(8), 8)

    def _write(self, path: bytes, data: bytes) -> int:
        descriptor = call("open", path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        return descriptor if descriptor < 0 else call("write", descriptor, data, len(data))

    def _ended(self, child: int) -> int:
        if child == 0:
            os._exit(0)
        if child > 0:
            os.waitpid(child, 0)
        return child


ATTEMPTS: dict[str, Callable[[Targets], int]] = {
    name: function for name, function in vars(Targets).items() if not name.startswith("_")
}
# The first attempt of each group, in their order.
_BEGINS = {
    "kill": "Other processes", "fork": "New processes", "read_terminal": "Terminals", "open_to_write": "Files",
    "socket_inet": "Talking to others", "mount": "The machine",
}  # fmt: skip
# What answers in a dry run that it was done, and was not.
PRETENDED = frozenset(
    {"setpriority", "sched_setaffinity", "sched_setscheduler", "sched_setattr", "ioprio_set", "chmod", "chown",
     "utimes", "setxattr", "flock", "fcntl_f_setlk", "prctl_set_pdeathsig"}
)  # fmt: skip
# Without confinement these would reach others than the victim, or change the machine.
REACHES_FURTHER = frozenset(
    {"kill_everybody", "kill_own_group", "mknod_device_in_scratch", "mount", "mount_setattr", "pivot_root", "chroot",
     "setuid", "unshare_users", "sethostname", "settimeofday", "init_module", "swapon", "quotactl", "setsid", "add_key",
     "personality", "prctl_set_ptracer", "bpf", "ioctl_tiocsctty", "mknod_device",
     "open_by_handle_at", "shmget", "msgget", "semget", "mq_open"}
)  # fmt: skip


def groups() -> dict[str, list[str]]:
    """Names of attempts by what they are about."""
    found: dict[str, list[str]] = {}
    for name in ATTEMPTS:
        if name in _BEGINS:
            found[_BEGINS[name]] = []
        found[list(found)[-1]].append(name)
    return found


def _record() -> int:
    """What the dry run is heard on: the only pipe that it has."""
    return next(number for number in range(3, 64) if _is_pipe(number))


def _is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def main() -> None:
    """Make the attempts named, all that there are where none is."""
    targets = Targets(**json.loads(sys.argv[1]))
    report = _record() if "gsbatch_inside.dry_run" in sys.modules else None
    for name in sys.argv[2:] or ATTEMPTS:
        answer = ATTEMPTS[name](targets)
        result = "done" if answer >= 0 else errno.errorcode.get(ctypes.get_errno(), "failed")
        if report is None:
            sys.stdout.write(f"{name} {result}\n")
        else:
            os.write(report, (json.dumps({"note": f"{name} {result}"}) + "\n").encode())


if __name__ == "__main__":
    main()
