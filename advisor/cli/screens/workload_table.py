"""``gsbatch --explain-workload``: every fact of a training, its source, and how to get a better value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from advisor.cli.screens.printable import printable
from advisor.inspection.inspect import NAMES
from advisor.inspection.workload import Fact, Source, Workload

_TO_KNOW_BETTER: Mapping[Source, str] = {
    Source.ARGUMENTS: "a dry run would see what the script makes of it",
    Source.CONFIGURATION: "a dry run would see what the script makes of it",
    Source.SOURCE_CODE: "a dry run would see what the script makes of it",
    Source.DEFAULT: "a dry run would see it; or state it in the script",
    Source.TABLE: "a dry run would count the network as it is built",
    Source.HISTORY: "a dry run would see whether it still holds",
}
_PLAIN_WIDTH = 140
_FROM_A_DRY_RUN = "a dry run may find it; or --set {name}=VALUE"


def print_workload(workload: Workload, *, file: TextIO) -> None:
    """Print all facts as a table, then what a person should know of how they were found."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading in ("fact", "value", "from", "others said", "to know it better"):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"fact", "from"})
    for name, fact in workload.facts():
        others = "; ".join(f"{_shown(item.value)} ({NAMES[item.source]})" for item in fact.others)
        cells = [name, _shown(fact.value), NAMES[fact.source], others, _advice(name, fact)]
        table.add_row(
            *(Text(printable(cell)) for cell in cells), style="dim" if fact.source is Source.UNKNOWN else None
        )
    console = Console(file=file, width=None if file.isatty() else _PLAIN_WIDTH, highlight=False, soft_wrap=False)
    console.print(table)
    for note in workload.notes:
        console.print(Text(printable(f"note: {note}")))


def _shown(value: object) -> str:
    if value is None:
        return "?"
    if isinstance(value, tuple):
        return " x ".join(str(item) for item in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _advice(name: str, fact: Fact[object]) -> str:
    if fact.others:
        return f"sources disagree: --set {name}=VALUE settles it"
    if fact.source is Source.UNKNOWN:
        return _FROM_A_DRY_RUN.format(name=name)
    return _TO_KNOW_BETTER.get(fact.source, "")
