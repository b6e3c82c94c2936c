"""TOML that people write, read with the place of every mistake: file, line and field."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from advisor.errors import ConfigurationError, UsageError
from advisor.toml_file import TomlError, parse_toml, read_toml_text
from advisor.units import duration_s_from_slurm, memory_bytes_from_slurm

# No count or rate of a cluster is larger; products of such numbers are still numbers.
_MOST = 10**9
_TABLE_HEADER = re.compile(r"^\s*\[\[\s*(?P<path>[\w.\s\"']+?)\s*\]\]")


def read_table(path: Path, kind: str) -> Table:
    """Read a TOML file as its top table; ``kind`` is what it describes, for messages.

    Raises:
        ConfigurationError: the file cannot be read or is not TOML.
    """
    try:
        text = read_toml_text(path)
    except OSError as exc:
        raise ConfigurationError(f"The file {path} cannot be read: {exc.strerror}.") from exc
    try:
        content = parse_toml(text, path)
    except TomlError as exc:
        line = re.search(r"at line (\d+)", str(exc))
        number = line[1] if line else str(text.count("\n") + 1)
        said = re.sub(r"\s*\(at [^)]*\)", "", str(exc))
        raise ConfigurationError(f"{path}, line {number}: {said}.", hint="The file is not valid TOML.") from exc
    return Table(content, Place(str(path), text, tuple(_headers(text))), kind)


@dataclass(frozen=True, slots=True)
class Place:
    """A file's text and one table in it, to find the line of a field. ``path`` is the table's, such as a.b.

    ``headers`` are the lines and paths of all ``[[tables]]``: found once, for a cluster may be thousands of them.
    """

    file: str
    text: str
    headers: tuple[tuple[int, str], ...]
    path: str = ""
    header_line: int = 0

    def line_of(self, field: str) -> int:
        """The line of a field in this table, else of the table's header, else the first."""
        lines = self.text.splitlines()
        pattern = re.compile(rf"^\s*[\"']?{re.escape(field)}[\"']?\s*(=|\.)")
        for number, line in enumerate(lines[self.header_line :], start=self.header_line + 1):
            if _TABLE_HEADER.match(line):
                break
            if pattern.match(line):
                return number
        return max(1, self.header_line)

    def children(self, name: str, count: int) -> list[Place]:
        """The places of an array's tables inside this table; its own for those that are written without a header."""
        path = f"{self.path}.{name}" if self.path else name
        lines = [number for number, found in self.headers if number > self.header_line and found == path][:count]
        lines += [self.header_line] * (count - len(lines))
        return [replace(self, path=path, header_line=number) for number in lines]


def _headers(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        header = _TABLE_HEADER.match(line)
        if header:
            yield number, re.sub(r"[\s\"']", "", header["path"])


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the file with typed access to its fields; each mistake knows its place."""

    values: Mapping[str, Any]
    place: Place
    kind: str

    def mistake(self, field: str, what: str) -> ConfigurationError:
        """The error to raise for a field: it names the file, the line and the field."""
        end = "" if what.endswith("?") else "."
        return ConfigurationError(f"{self.place.file}, line {self.place.line_of(field)}, {field}: {what}{end}")

    def only(self, known: Sequence[str]) -> None:
        """Refuse fields that are not known, with the known one that is closest."""
        for field in self.values:
            if field not in known:
                close = difflib.get_close_matches(field, known, n=1)
                guess = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"
                raise self.mistake(field, f"no such field of a {self.kind}; {guess}")

    def tables(self, field: str) -> list[Table]:
        """The tables of an array, such as each [[partitions]]."""
        listed = self.values.get(field, [])
        if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
            path = f"{self.place.path}.{field}".removeprefix(".")
            raise self.mistake(field, f"write each one as a [[{path}]] table")
        kind = field.removesuffix("s")
        places = self.place.children(field, len(listed))
        return [Table(item, place, kind) for item, place in zip(listed, places, strict=True)]

    def optional_text(self, field: str) -> str | None:
        """A text that is not empty."""
        value = self.values.get(field)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self.mistake(field, f"{value!r} is not a text")
        return value

    def text(self, field: str, default: str | None = None) -> str:
        """A text that must be there unless there is a default."""
        value = self.optional_text(field)
        if value is None and default is None:
            raise self.mistake(field, f"a {self.kind} needs it")
        return value or default or ""

    def words(self, field: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.values.get(field, [])
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self.mistake(field, f"{value!r} is not a list of texts")
        return tuple(value)

    def flag(self, field: str) -> bool:
        """A switch, ``true`` or ``false``; false where it is not there."""
        value = self.values.get(field, False)
        if not isinstance(value, bool):
            raise self.mistake(field, f"{value!r} is not true or false")
        return value

    def count(self, field: str) -> int | None:
        """A whole number from 1 to a thousand million."""
        value = self.values.get(field)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
            raise self.mistake(field, f"{value!r} is not a whole number from 1 to {_MOST}")
        return value

    def memory(self, field: str) -> int | None:
        """A size as Slurm writes it, in bytes."""
        value = self.values.get(field)
        if value is None:
            return None
        try:
            size = memory_bytes_from_slurm(str(value))
        except UsageError as exc:
            raise self.mistake(field, f"{value!r} is not a memory size; write for example 64G") from exc
        if size <= 0:
            raise self.mistake(field, f"{value!r} is not a memory size; write for example 64G")
        return size

    def number(self, field: str) -> float | None:
        """A number above 0, and up to a thousand million: rates are in Giga and Tera."""
        value = self.values.get(field)
        if value is None:
            return None
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= _MOST:
            raise self.mistake(field, f"{value!r} is not a number above 0")
        return float(value)

    def time(self, field: str) -> float | None:
        """A time limit as Slurm writes it, in seconds; None also where it is UNLIMITED."""
        value = self.optional_text(field)
        if value is None:
            return None
        try:
            return duration_s_from_slurm(value)
        except UsageError as exc:
            raise self.mistake(field, f"{value!r} is not a time; write for example 2-00:00:00") from exc
