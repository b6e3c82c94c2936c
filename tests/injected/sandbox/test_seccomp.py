"""The filter of system calls: what it answers on each architecture, as the kernel would read it."""

from __future__ import annotations

import errno
import os
import platform
import re
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.injected.gsbatch_inside.sandbox import seccomp, system_calls

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
PLACES = {"x86_64": 0, "aarch64": 1}
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
OWN_PID, OTHER_PID = 4242, 4243
TABLES = ("ALLOWED", "CHANGES", "PRETENDED", "REFUSED", "JUDGED")
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def answer(machine: str, number: int, *arguments: int, may_write: bool = True, architecture: int | None = None) -> int:
    """Run the filter on a system call; an errno, 0 for pretended, -1 for allowed."""
    program = seccomp.program(ARCHITECTURES[machine], PLACES[machine], own_pid=OWN_PID, may_write=may_write)
    padded = [*arguments, *[0] * (6 - len(arguments))]
    words = {0: number, 4: ARCHITECTURES[machine] if architecture is None else architecture}
    words |= {16 + 8 * place: value & 0xFFFFFFFF for place, value in enumerate(padded)}
    at, held = 0, 0
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        if code == 0x20:
            held = words[k]
        elif code == 0x54:
            held &= k
        elif code == 0x06:
            return -1 if k == ALLOW else k - ERRNO
        else:
            holds = {0x15: held == k, 0x25: held > k, 0x35: held >= k}[code]
            at += if_true if holds else if_false


def called(machine: str, name: str, *arguments: int, may_write: bool = True) -> int:
    """The same, by the name of the call."""
    (numbers,) = [getattr(system_calls, table)[name] for table in TABLES if name in getattr(system_calls, table)]
    return answer(machine, numbers[PLACES[machine]], *arguments, may_write=may_write)


@pytest.mark.parametrize("machine", PLACES)
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("read", (), -1),
        ("fork", (), errno.EPERM),
        ("chmod", (), 0),
        ("fchmodat", (), 0),
        ("kill", (OWN_PID, signal.SIGTERM), -1),
        ("kill", (OTHER_PID, 0), errno.EPERM),
        ("kill", (0, signal.SIGTERM), errno.EPERM),
        ("kill", (-1, signal.SIGTERM), errno.EPERM),
        ("tgkill", (OWN_PID, 7, signal.SIGTERM), -1),
        ("tgkill", (OTHER_PID, OTHER_PID, signal.SIGTERM), errno.EPERM),
        ("clone", (0x3D0F00,), -1),  # as glibc makes a thread
        ("clone", (signal.SIGCHLD,), errno.EPERM),
        ("clone", (0x3D0F00 | 0x10000000,), errno.EPERM),  # a thread in a user namespace of its own
        ("clone3", (), errno.ENOSYS),
        ("prlimit64", (0, 7), -1),
        ("prlimit64", (OWN_PID, 7), -1),
        ("prlimit64", (OTHER_PID, 7), errno.EPERM),
        ("sched_setaffinity", (0,), -1),
        ("sched_setaffinity", (OTHER_PID,), 0),
        ("fcntl", (3, 2, 1), -1),  # F_SETFD
        ("fcntl", (3, 6, 0), 0),  # F_SETLK
        ("fcntl", (3, 8, OTHER_PID), errno.EPERM),  # F_SETOWN
        ("fcntl", (3, 10, 9), errno.EPERM),  # F_SETSIG
        ("fcntl", (3, 1024, 0), errno.EPERM),  # F_SETLEASE
        ("ioctl", (3, 0x5413), -1),  # TIOCGWINSZ
        ("ioctl", (3, 0x5412), errno.ENOTTY),  # TIOCSTI
        ("ioctl", (3, 0x40086602), errno.ENOTTY),  # FS_IOC_SETFLAGS
        ("prctl", (15,), -1),  # PR_SET_NAME
        ("prctl", (1,), 0),  # PR_SET_PDEATHSIG
        ("prctl", (0x59616D61,), errno.EINVAL),  # PR_SET_PTRACER
        ("socketpair", (1, 1 | 0o2000000), -1),
        ("socketpair", (1, 2), errno.EPERM),
        ("openat", (-100, 0, os.O_RDONLY | os.O_CLOEXEC), -1),
        ("openat", (-100, 0, os.O_RDWR | os.O_CREAT), -1),
        ("openat", (-100, 0, os.O_RDONLY | os.O_TRUNC), errno.EACCES),
        ("mknodat", (-100, 0, 0o100600), -1),
        ("mknodat", (-100, 0, 0o060600), errno.EPERM),
        ("mknodat", (-100, 0, 0o020600), errno.EPERM),
    ],
)
def test_a_call_is_judged_by_its_arguments(machine: str, name: str, arguments: tuple[int, ...], expected: int) -> None:
    """On either architecture, whose numbers differ."""
    if machine == "aarch64" and name in {"fork", "chmod"}:
        pytest.skip("AArch64 has none")

    assert expected == called(machine, name, *arguments)


@pytest.mark.parametrize("machine", PLACES)
@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_TMPFILE | os.O_RDWR])
def test_without_landlock_nothing_is_opened_for_writing(machine: str, flags: int) -> None:
    """Nor is anything made, renamed or removed."""
    assert errno.EACCES == called(machine, "openat", -100, 0, flags, may_write=False)
    assert -1 == called(machine, "openat", -100, 0, os.O_RDONLY, may_write=False)
    for name in ("mkdirat", "unlinkat", "renameat2", "linkat", "symlinkat"):
        assert errno.EPERM == called(machine, name, may_write=False)
    assert errno.EPERM == called(machine, "mknodat", -100, 0, 0o100600, may_write=False)


@pytest.mark.parametrize("machine", PLACES)
@given(number=st.integers(0, 2**32 - 1), arguments=st.lists(st.integers(0, 2**32 - 1), max_size=6))
def test_what_is_in_no_table_does_not_exist(machine: str, number: int, arguments: list[int]) -> None:
    """Calls that are newer than the tables, and those of x86-64's other modes, fail as on an older kernel."""
    known = {numbers[PLACES[machine]] for table in TABLES for numbers in getattr(system_calls, table).values()}
    if number not in known:
        assert errno.ENOSYS == answer(machine, number, *arguments)
    assert errno.ENOSYS == answer(machine, number, *arguments, architecture=0x40000003)


@pytest.mark.parametrize("machine", PLACES)
def test_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    """One that is wrong would allow another call."""
    if not HEADERS[machine].is_file():
        pytest.skip("no headers of the kernel are installed")
    text = HEADERS[machine].read_text(encoding="ascii")
    official = {name: int(value) for name, value in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    official |= {"newfstatat": official["fstatat"]} if "fstatat" in official else {}
    tables = {name: numbers for table in TABLES for name, numbers in getattr(system_calls, table).items()}

    wrong = {
        name: numbers
        for name, numbers in tables.items()
        if name in official and official[name] != numbers[PLACES[machine]]
    }
    missing = [
        name for name, numbers in tables.items() if name not in official and numbers[PLACES[machine]] is not None
    ]
    newest = max(official.values())
    assert {} == wrong
    assert [] == [name for name in missing if tables[name][PLACES[machine]] <= newest]
    assert len(tables) == sum(len(getattr(system_calls, table)) for table in TABLES)


@pytest.mark.skipif(platform.machine() not in PLACES, reason="no filter for this architecture")
@pytest.mark.parametrize("may_write", [True, False])
def test_no_jump_is_too_far_and_every_path_ends(may_write: bool) -> None:
    """The kernel refuses a program with a jump beyond its end, and has at most 4,096 instructions."""
    for machine, place in PLACES.items():
        program = seccomp.program(ARCHITECTURES[machine], place, own_pid=OWN_PID, may_write=may_write)

        assert len(program) < 4096
        assert all(0 <= jump <= 255 for _code, if_true, if_false, _k in program for jump in (if_true, if_false))
        assert all(
            at + 1 + max(if_true, if_false) < len(program)
            for at, (code, if_true, if_false, _k) in enumerate(program)
            if code != 0x06
        )
