"""A user's own cache of JSON answers: one file for each question, read only while it is recent and private.

A file that is old, broken, too large, of another version, not the user's own or writable by others counts as missing.
A folder that cannot be written to costs the copy and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.errors import StorageError
from advisor.storage.folder import Folder, opened_folder

_DIGITS = 32
# Unlike NaN and huge exponents, deep nesting makes the reader raise; all three are caught below.
_UNREADABLE = (OSError, StorageError, ValueError, KeyError, TypeError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonCache:
    """Where answers of one kind lie.

    Args:
        folder: the user's cache folder, made (mode 0700) with the first answer.
        kind: what the files' names begin with.
        version: of the answers' form; answers of another version are not read.
        max_age_s: older answers are not read.
        most_bytes: larger answers are neither written nor read.
        most_entries: more than these are dropped, oldest first.
    """

    folder: Path
    kind: str
    version: int
    max_age_s: float
    most_bytes: int
    most_entries: int

    def load(self, question: object, *, now_s: float) -> dict[str, Any] | None:
        """The answer that was kept for a question, None where there is none to believe.

        Args:
            question: any JSON value that tells one question from another.
            now_s: seconds since 1970.
        """
        try:
            with opened_folder(self.folder) as folder:
                entry = json.loads(folder.read(self._name(question), limit=self.most_bytes))
            age_s = now_s - entry["written_at_s"]
            answer = entry["answer"]
            if entry["version"] != self.version or not 0 <= age_s <= self.max_age_s:
                return None
        except _UNREADABLE:
            return None
        return answer if isinstance(answer, dict) else None

    def save(self, question: object, answer: Mapping[str, object], *, now_s: float) -> None:
        """Keep the answer to a question."""
        entry = {"version": self.version, "written_at_s": now_s, "answer": answer}
        data = json.dumps(entry).encode("utf-8", "surrogateescape")
        if len(data) >= self.most_bytes:
            return
        with contextlib.suppress(OSError, StorageError), opened_folder(self.folder, make=True) as folder:
            folder.write(self._name(question), data)
            self._drop_oldest(folder)

    def _name(self, question: object) -> str:
        text = json.dumps(question).encode("utf-8", "surrogateescape")
        return f"{self.kind}-{hashlib.sha256(text).hexdigest()[:_DIGITS]}.json"

    def _drop_oldest(self, folder: Folder) -> None:
        mine = [name for name in folder.names() if name.startswith(f"{self.kind}-") and name.endswith(".json")]
        times = {name: os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False).st_mtime for name in mine}
        for name in sorted(mine, key=lambda name: times[name], reverse=True)[self.most_entries :]:
            folder.remove(name)
