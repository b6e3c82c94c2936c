"""A described cluster: a TOML file in Slurm's own formats in place of a Slurm.

Every mistake is a ConfigurationError that names the file, the line and the field; see docs/examples/ for whole files.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.errors import ConfigurationError, UsageError
from advisor.inventory.catalogue import Catalogue
from advisor.inventory.gres import parse_gres
from advisor.inventory.model import Gres, Inventory, Node, Partition
from advisor.inventory.scontrol import billing_weights
from advisor.units import duration_s_from_slurm, memory_bytes_from_slurm

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BACKEND = "described"
_CLUSTER_FIELDS = ("name", "account", "partitions")
_PARTITION_FIELDS = (
    "name", "default", "max_time", "default_time", "max_nodes", "min_nodes", "max_memory_per_node", "default_memory_per_node",
    "default_memory_per_cpu", "default_memory_per_gpu", "billing_weights", "unavailable", "nodes",
)  # fmt: skip
_NODE_FIELDS = ("name", "count", "cpus", "memory", "gres", "features", "unavailable")
_TABLE_HEADER = re.compile(r"^\s*\[\[\s*(?P<path>[\w.\s\"']+?)\s*\]\]")


def read_described(path: Path, catalogue: Catalogue) -> Inventory:
    """Read a described cluster.

    Raises:
        ConfigurationError: the file cannot be read or has a mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"The described cluster {path} cannot be read: {reason}.") from exc
    return parse_described(text, str(path), catalogue)


def parse_described(text: str, where: str, catalogue: Catalogue) -> Inventory:
    """Read the text of a described cluster; ``where`` is the file's name for messages.

    Raises:
        ConfigurationError: the text has a mistake.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        line = re.search(r"at line (\d+)", str(exc))
        place = f"line {line[1]}" if line else f"line {text.count(chr(10)) + 1}"
        said = re.sub(r"\s*\(at [^)]*\)", "", str(exc))
        raise ConfigurationError(f"{where}, {place}: {said}.", hint="The file is not valid TOML.") from exc
    cluster = _Table(content, _Place(where, text), "cluster")
    cluster.only(_CLUSTER_FIELDS)
    partitions = [_partition(table, catalogue) for table in cluster.tables("partitions")]
    if not partitions:
        raise cluster.mistake("partitions", "a cluster needs at least one [[partitions]]")
    _no_double_names(cluster, partitions)
    return Inventory(
        cluster_name=cluster.text("name", "described"),
        backend=BACKEND,
        partitions=tuple(partitions),
        account=cluster.optional_text("account"),
    )


def _no_double_names(cluster: _Table, partitions: Sequence[Partition]) -> None:
    seen: set[str] = set()
    for table, partition in zip(cluster.tables("partitions"), partitions, strict=True):
        if partition.name in seen:
            raise table.mistake("name", f"there are two partitions '{partition.name}'")
        seen.add(partition.name)


def _partition(table: _Table, catalogue: Catalogue) -> Partition:
    table.only(_PARTITION_FIELDS)
    name = table.text("name")
    nodes: list[Node] = []
    for node_table in table.tables("nodes"):
        nodes += _nodes(node_table, name, len(nodes), catalogue)
    if not nodes:
        raise table.mistake("nodes", f"partition '{name}' needs at least one [[partitions.nodes]]")
    return Partition(
        name=name,
        nodes=tuple(nodes),
        is_default=table.flag("default"),
        max_time_s=table.time("max_time"),
        default_time_s=table.time("default_time"),
        max_nodes=table.count("max_nodes"),
        min_nodes=table.count("min_nodes") or 0,
        max_memory_per_node_bytes=table.memory("max_memory_per_node"),
        default_memory_per_node_bytes=table.memory("default_memory_per_node"),
        default_memory_per_cpu_bytes=table.memory("default_memory_per_cpu"),
        default_memory_per_gpu_bytes=table.memory("default_memory_per_gpu"),
        billing_weights=billing_weights(table.optional_text("billing_weights")),
        barred_reason=table.optional_text("unavailable"),
    )


def _nodes(table: _Table, partition: str, already: int, catalogue: Catalogue) -> list[Node]:
    table.only(_NODE_FIELDS)
    features = table.words("features")
    gres = parse_gres(table.text("gres", ""))
    if table.text("gres", "") and not gres:
        raise table.mistake("gres", "no GPU in it; write for example gpu:a100:4")
    count = table.count("count") or 1
    stem = table.optional_text("name") or partition
    names = [stem] if count == 1 and table.optional_text("name") else [f"{stem}{already + i + 1}" for i in range(count)]
    types = tuple(gres_type for gres_type, _ in gres if gres_type)
    gpus = tuple(
        Gres(
            gres_type=gres_type,
            count=number,
            gpu=catalogue.identify(gres_type, features=features + tuple(t for t in types if t != gres_type)),
            idle=number,
        )
        for gres_type, number in gres
    )
    cpus = table.count("cpus")
    memory_bytes = table.memory("memory")
    if cpus is None or memory_bytes is None:
        missing = "cpus" if cpus is None else "memory"
        raise table.mistake(missing, "a node needs it")
    return [
        Node(
            name=name,
            cpus=cpus,
            memory_bytes=memory_bytes,
            gres=gpus,
            features=features,
            unavailable_reason=table.optional_text("unavailable"),
        )
        for name in names
    ]


@dataclass(frozen=True, slots=True)
class _Place:
    """A file's text, to find the line of a table and of a field in it. ``path`` is the array path, ``index`` its count."""

    file: str
    text: str
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

    def child(self, name: str, index: int) -> _Place:
        """The place of the index-th table of an array inside this table."""
        path = f"{self.path}.{name}" if self.path else name
        seen = -1
        for number, line in enumerate(self.text.splitlines(), start=1):
            header = _TABLE_HEADER.match(line)
            if number > self.header_line and header and re.sub(r"[\s\"']", "", header["path"]) == path:
                seen += 1
                if seen == index:
                    return _Place(self.file, self.text, path, number)
        return _Place(self.file, self.text, path, self.header_line)


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of the file with typed access to its fields; each mistake knows its place."""

    values: Mapping[str, Any]
    place: _Place
    kind: str

    def mistake(self, field: str, what: str) -> ConfigurationError:
        return ConfigurationError(f"{self.place.file}, line {self.place.line_of(field)}, {field}: {what}.")

    def only(self, known: Sequence[str]) -> None:
        for field in self.values:
            if field not in known:
                close = difflib.get_close_matches(field, known, n=1)
                guess = f", did you mean '{close[0]}'?" if close else f"; known: {', '.join(known)}"
                raise self.mistake(
                    field, f"no such field of a {self.kind}{guess}".removesuffix("?") + "?" * bool(close)
                )

    def tables(self, field: str) -> list[_Table]:
        listed = self.values.get(field, [])
        if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
            raise self.mistake(
                field, f"write each one as a [[{self.place.path and self.place.path + '.'}{field}]] table"
            )
        kind = field.removesuffix("s")
        return [_Table(item, self.place.child(field, index), kind) for index, item in enumerate(listed)]

    def optional_text(self, field: str) -> str | None:
        value = self.values.get(field)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self.mistake(field, f"{value!r} is not a text")
        return value

    def text(self, field: str, default: str | None = None) -> str:
        value = self.optional_text(field)
        if value is None and default is None:
            raise self.mistake(field, f"a {self.kind} needs it")
        return value or default or ""

    def words(self, field: str) -> tuple[str, ...]:
        value = self.values.get(field, [])
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self.mistake(field, f"{value!r} is not a list of texts")
        return tuple(value)

    def flag(self, field: str) -> bool:
        value = self.values.get(field, False)
        if not isinstance(value, bool):
            raise self.mistake(field, f"{value!r} is not true or false")
        return value

    def count(self, field: str) -> int | None:
        value = self.values.get(field)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise self.mistake(field, f"{value!r} is not a whole number of 1 or more")
        return value

    def memory(self, field: str) -> int | None:
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

    def time(self, field: str) -> float | None:
        value = self.optional_text(field)
        if value is None:
            return None
        try:
            return duration_s_from_slurm(value)
        except UsageError as exc:
            raise self.mistake(field, f"{value!r} is not a time; write for example 2-00:00:00") from exc
