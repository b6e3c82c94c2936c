"""A user's own cache of JSON answers: one file for each question, believed only while it is recent and private.

A file that is old, broken, too large, of another version, not the user's own or writable by others counts as missing.
A folder that cannot be written to costs the copy and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.storage.whole_file import write_whole

_DIGITS = 32
# Unlike NaN and huge exponents, deep nesting makes the reader raise; all three are caught below.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RecursionError)


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
            entry = json.loads(_read_private(self._file(question), self.most_bytes))
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
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._file(question), data)
            self._drop_oldest()

    def _file(self, question: object) -> Path:
        text = json.dumps(question).encode("utf-8", "surrogateescape")
        return self.folder / f"{self.kind}-{hashlib.sha256(text).hexdigest()[:_DIGITS]}.json"

    def _drop_oldest(self) -> None:
        files = [(file.stat().st_mtime, file) for file in self.folder.glob(f"{self.kind}-*.json")]
        for _time, file in sorted(files, reverse=True)[self.most_entries :]:
            file.unlink(missing_ok=True)


def _read_private(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file that only this user can have written.

    Raises:
        OSError: it is missing, a link, or cannot be read.
        ValueError: it is another's, another may write to it, or it is too large.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        is_private = status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not is_private or not stat.S_ISREG(status.st_mode) or status.st_size >= most_bytes:
            raise ValueError("the file cannot be believed")
        return file.read(most_bytes)
