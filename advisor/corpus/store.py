"""The corpus file: opening it, and the lock that keeps it at one writer."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from advisor.corpus import schema
from advisor.errors import CorpusError, StorageError
from advisor.storage.folder import PRIVATE_FOLDER_MODE, check_file, make_folder, trusted_owners

# Readers of a WAL database are never blocked; this bounds the wait of a second writer (`gsadmin corpus --vacuum`).
BUSY_TIMEOUT_S = 10.0


@contextmanager
def reading(path: Path) -> Iterator[Database]:
    """The corpus for reading; it must exist and be of this version.

    Raises:
        CorpusError: there is none, it cannot be read, somebody else can have written it, or it is of another version.
    """
    with _translated(path):
        try:
            check_file(path, owners=trusted_owners())
        except FileNotFoundError as exc:
            raise CorpusError(f"There is no corpus at {path}.", hint="An admin makes it with: gsadmin init") from exc
        db = Database(_connect_for_reading(path))
        try:
            _refuse_other_versions(db, path)
            yield db
        finally:
            db.close()


@contextmanager
def writing(path: Path) -> Iterator[Database]:
    """The corpus for its one writer; it is made, and brought to this version, where needed.

    Raises:
        CorpusError: another writer holds it, the folder cannot be written, or it is newer than this program.
    """
    with _only_writer(path), _translated(path):
        # Tickets hold users' script arguments: the file is its owner's alone until an admin opens it to others.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        check_file(path, owners=trusted_owners())
        connection = sqlite3.connect(str(path), timeout=BUSY_TIMEOUT_S)
        db = Database(connection)
        try:
            _refuse_newer(db, path)
            db.enable_wal()
            schema.migrations.apply(db)
            db.execute("PRAGMA foreign_keys=ON")
            yield db
        finally:
            db.close()


def _connect_for_reading(path: Path) -> sqlite3.Connection:
    uri = path.resolve().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
    try:
        connection.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        # A reader who may not write beside a WAL database cannot make its -shm file. Without a -wal file nothing is
        # pending and nobody writes, so the file can be read as it lies.
        connection = sqlite3.connect(f"{uri}?immutable=1", uri=True, timeout=BUSY_TIMEOUT_S)
    return connection


@contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    """Hold the writer's lock; it goes with the process, however that ends."""
    lock_path = path.with_name(path.name + ".lock")
    try:
        make_folder(path.parent, mode=PRIVATE_FOLDER_MODE)
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise CorpusError(
            f"The corpus folder {path.parent} cannot be written: {exc.strerror}.",
            hint="Run gsadmin as the corpus's owner, or make the folder with: gsadmin init",
        ) from exc
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise CorpusError(
                f"Another gsadmin is writing to the corpus {path}.", hint="Wait for it to end and try again."
            ) from exc
        yield
    finally:
        os.close(lock)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except StorageError as exc:
        raise CorpusError(f"The corpus is not used: {exc}", hint=exc.hint) from exc
    except (sqlite3.Error, OSError) as exc:
        raise CorpusError(
            f"The corpus {path} cannot be used: {exc}.", hint="Is its disk full? Look at it with: gsadmin corpus check"
        ) from exc


def _refuse_newer(db: Database, path: Path) -> None:
    known = schema.names()
    unknown = [applied.name for applied in schema.migrations.applied(db) if applied.name not in known]
    if unknown:
        raise CorpusError(
            f"The corpus {path} was written by a newer gsbatch (it has '{unknown[-1]}').",
            hint="Update gsbatch on this machine.",
        )


def _refuse_other_versions(db: Database, path: Path) -> None:
    _refuse_newer(db, path)
    if schema.migrations.pending(db):
        raise CorpusError(f"The corpus {path} is of an older version.", hint="Bring it up to date with: gsadmin init")
