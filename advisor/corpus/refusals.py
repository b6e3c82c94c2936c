"""Files of the spool folder that were not believed: remembered, so that none is read again without a reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlite_utils import Database

import advisor
from advisor.corpus.spool import Listing, SpoolEntry, is_ticket
from advisor.storage.plain_text import escaped

# What a person reads in a list; a reason may quote what a user wrote.
_MAX_REASON = 200
# A job that accounting has not heard of by then was never one.
_GIVEN_UP_AFTER_S = 30 * 86400.0
_LONGEST_PAUSE_S = 86400.0
_SELECT = """
    SELECT inode, bytes, modified_ns, final, judged_by, first_seen_at, last_seen_at FROM rejected WHERE path = ?
"""
_INSERT = """
    INSERT INTO rejected
        (path, reason, owner_uid, first_seen_at, last_seen_at, inode, bytes, modified_ns, final, judged_by)
    VALUES (:path, :reason, :owner_uid, :now, :now, :inode, :bytes, :modified_ns, :final, :judged_by)
    ON CONFLICT (path) DO UPDATE SET
        reason = excluded.reason, last_seen_at = excluded.last_seen_at, inode = excluded.inode, bytes = excluded.bytes,
        modified_ns = excluded.modified_ns, final = excluded.final, judged_by = excluded.judged_by
"""


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """A file of the spool folder that was not believed, and why."""

    path: Path
    reason: str


@dataclass(slots=True)
class Refusals:
    """The refusals of one ingest; they are written by ``flush``, many in one transaction."""

    db: Database
    now_s: float
    found: list[RejectedFile] = field(default_factory=list)
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _accepted: list[str] = field(default_factory=list)

    def is_settled(self, entry: SpoolEntry) -> bool:
        """Whether a file was refused before and would be refused again, as it lies there now.

        A refusal that time may lift is looked at again after as long as it has stood, once a day at most, for a
        month. Another version of this program looks at all files again.
        """
        row = self.db.execute(_SELECT, [str(entry.path)]).fetchone()
        if row is None:
            return False
        *state, is_final, judged_by, first_seen_at, last_seen_at = row
        if state != [entry.inode, entry.size_bytes, entry.modified_ns] or judged_by != advisor.__version__:
            return False
        first_s, last_s = _seconds(first_seen_at), _seconds(last_seen_at)
        if is_final or last_s - first_s > _GIVEN_UP_AFTER_S:
            return True
        return self.now_s < last_s + min(last_s - first_s, _LONGEST_PAUSE_S)

    def add(self, entry: SpoolEntry, reason: str, *, final: bool) -> None:
        """Refuse a trace; ``final`` where nothing but another file can change that."""
        state = {"inode": entry.inode, "bytes": entry.size_bytes, "modified_ns": entry.modified_ns}
        self._add(entry.path, reason, {**state, "owner_uid": entry.owner_uid, "final": final})

    def add_ticket(self, path: Path, reason: str) -> None:
        """Refuse a ticket; it is looked at again with the traces of its job."""
        self._add(path, reason, {"inode": None, "bytes": None, "modified_ns": None, "owner_uid": None, "final": False})

    def _add(self, path: Path, reason: str, columns: dict[str, Any]) -> None:
        shown = escaped(reason)[:_MAX_REASON]
        self.found.append(RejectedFile(path, shown))
        row = {"path": str(path), "reason": shown, "now": _text(self.now_s), "judged_by": advisor.__version__}
        self._rows.append(row | columns)

    def accept(self, paths: Iterable[Path]) -> None:
        """Forget that these files were refused."""
        self._accepted += map(str, paths)

    def flush(self) -> None:
        """Write what was refused and accepted since the last flush."""
        with self.db.atomic():
            for path in self._accepted:
                self.db.execute("DELETE FROM rejected WHERE path = ?", [path])
            for row in self._rows:
                self.db.execute(_INSERT, row)
        self._accepted.clear()
        self._rows.clear()

    def prune(self, listing: Listing) -> None:
        """Forget files of this spool folder that are no longer there."""
        there = {str(entry.path) for entry in listing.entries}
        passed_over = set(listing.passed_over)
        below = f"{listing.folder}/"
        query = "SELECT path, owner_uid FROM rejected WHERE substr(path, 1, ?) = ?"
        for path, owner_uid in self.db.execute(query, [len(below), below]).fetchall():
            if path not in there and owner_uid not in passed_over and not _is_ticket_there(Path(path)):
                self._accepted.append(path)
        self.flush()


def _is_ticket_there(path: Path) -> bool:
    return is_ticket(path) and path.is_file()


def _text(now_s: float) -> str:
    return datetime.fromtimestamp(now_s, tz=timezone.utc).isoformat(timespec="seconds")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
