"""The cluster's users: made when they are missing, removed by the last cluster that uses them."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Which clusters use which user; a user that was there before has no entry and is never removed.
REGISTER = Path("/run/gsbatch-test-users")


def add_users(names: tuple[str, ...], folder: Path) -> None:
    """Make each missing user and give each a home ``folder/home/NAME``."""
    with _register_locked():
        for name in names:
            home = folder / "home" / name
            home.mkdir(parents=True)
            entry = REGISTER / name
            if not _exists(name):
                options = ["--no-create-home", "--user-group", "--shell", "/bin/bash", "--home-dir", str(home)]
                subprocess.run(["useradd", *options, name], check=True, capture_output=True)
                entry.mkdir(parents=True)
            if entry.is_dir():
                (entry / folder.name).symlink_to(folder)
            account = pwd.getpwnam(name)
            os.chown(home, account.pw_uid, account.pw_gid)


def remove_users(names: tuple[str, ...], folder: Path) -> None:
    """Forget that ``folder``'s cluster uses the users; remove those that we made and no cluster uses."""
    with _register_locked():
        for name in names:
            entry = REGISTER / name
            if not entry.is_dir():
                continue
            (entry / folder.name).unlink(missing_ok=True)
            if any(cluster.exists() for cluster in entry.iterdir()):
                continue
            subprocess.run(["userdel", name], check=False, capture_output=True)
            shutil.rmtree(entry)
        if REGISTER.is_dir() and not any(REGISTER.iterdir()):
            REGISTER.rmdir()


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@contextmanager
def _register_locked() -> Iterator[None]:
    """Hold the lock that keeps two clusters from making or removing a user at once."""
    handle = os.open(REGISTER.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
