"""Writes docs/cli.md from the programs themselves: ``python docs/write_cli_reference.py`` (``--check`` compares).

tests/test_docs.py runs the check, so the page cannot drift from what the commands say of themselves.
"""  # noqa: INP001 (a program, in no package)

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from advisor import errors, settings  # noqa: E402 (the checkout is what is documented)
from advisor.cli.gsadmin import gsadmin  # noqa: E402
from advisor.cli.gsbatch_help import HELP  # noqa: E402
from advisor.cli.gseff import gseff  # noqa: E402
from advisor.cli.gsinfo import command as gsinfo  # noqa: E402

PAGE = REPOSITORY / "docs" / "cli.md"
WIDTH = 100
HEAD = """\
# Command reference

Written by `python docs/write_cli_reference.py` from the commands themselves; do not edit by hand.
"""


def page() -> str:
    """The whole page."""
    sections = [HEAD, _section(2, "gsbatch", HELP)]
    for command in (gsinfo, gseff, gsadmin):
        sections += _sections(command, command.name or "", level=2)
    sections += ["## Settings\n\n" + _settings(), "## Exit statuses\n\n" + _exit_statuses()]
    return "\n".join(sections)


def _section(level: int, title: str, text: str) -> str:
    return f"{'#' * level} {title}\n\n```text\n{text.rstrip()}\n```\n"


def _sections(command: click.Command, path: str, level: int, parent: click.Context | None = None) -> Iterator[str]:
    name = path.rsplit(" ", 1)[-1]
    context = click.Context(command, parent, info_name=name, terminal_width=WIDTH, **command.context_settings)
    yield _section(level, path, command.get_help(context))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _sections(child, f"{path} {name}", min(level + 1, 4), context)


def _settings() -> str:
    layers = (
        "Strongest first: command line, environment, `#GSBATCH` lines, user file"
        " (`~/.config/gsbatch/config.toml`), site file (`/etc/gsbatch/config.toml`), defaults."
        " `gsadmin doctor` shows each value with its source."
    )
    lines = [
        layers,
        "",
        "| setting | environment | value | meaning |",
        "|---|---|---|---|",
    ]
    for item in settings.SETTINGS:
        kind = item.kind.replace("|", "\\|")
        lines.append(f"| `{item.name}` | `{item.variable}` | {kind} | {item.help} |")
    return "\n".join(lines) + "\n"


def _exit_statuses() -> str:
    by_status: dict[int, list[str]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.AdvisorError):
            first_line = (kind.__doc__ or "").strip().splitlines()[0]
            by_status.setdefault(kind.exit_status, []).append(f"{kind.__name__}: {first_line}")
    lines = [
        "`gsbatch` ends with sbatch's own status once sbatch has been called. Else, and for the other commands:",
        "",
        "| status | what happened |",
        "|---|---|",
        "| 0 | all went well |",
    ]
    lines += [f"| {status} | {'<br>'.join(kinds)} |" for status, kinds in sorted(by_status.items())]
    return "\n".join([*lines, "| 130 | interrupted (Ctrl-C) |"]) + "\n"


def main() -> int:
    """Write the page, or with ``--check`` say whether it is up to date."""
    text = page()
    if "--check" in sys.argv[1:]:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write("docs/cli.md is not what the commands say: run python docs/write_cli_reference.py\n")
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
