"""Writes man/man1/*.1 from the commands' own help: ``python docs/write_man_pages.py`` (``--check`` compares).

tests/test_docs.py runs the check. The wheel carries the pages as share/man, where ``man`` finds those of a program on
PATH.
"""  # noqa: INP001 (a program, in no package)

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

import advisor  # noqa: E402 (the checkout is what is documented)
from advisor.cli.gsadmin import gsadmin  # noqa: E402 (likewise)
from advisor.cli.gsbatch_help import HELP, option_lines  # noqa: E402 (likewise)
from advisor.cli.gseff import gseff  # noqa: E402 (likewise)
from advisor.cli.gsinfo import command as gsinfo  # noqa: E402 (likewise)

FOLDER = REPOSITORY / "man" / "man1"
PAGES = ("gsbatch", "gsinfo", "gseff", "gsadmin")
FILES = """\
.SH FILES
.TP
.I ~/.config/gsbatch/config.toml
The user's settings.
.TP
.I /etc/gsbatch/config.toml
The site's settings, or the file that GSBATCH_SITE_CONFIG names.
.SH ENVIRONMENT
.TP
.B GSBATCH_NAME
Any setting, by its name in capitals; gsadmin doctor shows all, with their values.
"""


def pages() -> dict[str, str]:
    """Each page by its file's name."""
    found = {"gsbatch.1": _gsbatch()}
    for command in (gsinfo, gseff, gsadmin):
        name = command.name or ""
        context = click.Context(command, info_name=name, terminal_width=10_000, **command.context_settings)
        found[f"{name}.1"] = _page(name, command, context)
        if isinstance(command, click.Group):
            found |= dict(_pages_below(command, name, context))
    return found


def _pages_below(group: click.Group, path: str, above: click.Context) -> Iterator[tuple[str, str]]:
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        if command is not None:
            context = click.Context(command, above, info_name=name, terminal_width=10_000)
            yield f"{path}-{name}.1", _page(f"{path} {name}", command, context)


def _page(path: str, command: click.Command, context: click.Context) -> str:
    """A page of a click command; commands below a second level stand in their group's page."""
    text = (command.help or "").strip()
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [
        _head(path.replace(" ", "-"), text.partition("\n")[0]),
        f".SH SYNOPSIS\n.B {_roff(path)}\n{_roff(usage)}\n",
        f".SH DESCRIPTION\n{_paragraphs(text)}",
        _click_options(command, context),
    ]
    if isinstance(command, click.Group):
        parts.append(_commands(command, path, context))
    parts += [FILES, _examples(command.epilog or ""), _see_also(path.split(" ", maxsplit=1)[0])]
    return "".join(parts)


def _click_options(command: click.Command, context: click.Context) -> str:
    records = [record for item in command.get_params(context) if (record := item.get_help_record(context)) is not None]
    return ".SH OPTIONS\n" + "".join(f".TP\n.B {_roff(flags)}\n{_roff(text)}\n" for flags, text in records)


def _commands(group: click.Group, path: str, context: click.Context) -> str:
    text = ".SH COMMANDS\n"
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        below = click.Context(command, context, info_name=name, terminal_width=10_000)
        usage = " ".join([name, *command.collect_usage_pieces(below)])
        text += f".TP\n.B {_roff(usage)}\n{_roff(command.get_short_help_str(limit=10_000))}\n"
        text += f"See\n.BR gsadmin\\-{_roff(name)} (1).\n" if path == "gsadmin" else ""
    return text


def _gsbatch() -> str:
    usage, rest = HELP.split("\n\n", 1)
    description, rest = rest.split("\n\n", 1)
    _options, settings, examples, status = rest.split("\n\n")
    synopsis = "\n.br\n".join(_roff(line.removeprefix("Usage:").strip()) for line in usage.splitlines())
    options = "".join(
        f".TP\n.B {_roff(', '.join(filter(None, [line.short and f'-{line.short}', line.long])))}"
        f"{_roff(_value(line.value))}\n{_roff(line.help)}\n"
        for line in option_lines()
    )
    return "".join(
        [
            _head("gsbatch", "submit a training to Slurm where it costs least, and measure it"),
            f".SH SYNOPSIS\n{synopsis}\n",
            f".SH DESCRIPTION\n{_paragraphs(description)}.PP\n{_paragraphs(settings)}",
            f".SH OPTIONS\nAll options of\n.BR sbatch (1),\nand these, before SCRIPT:\n{options}",
            f".SH EXIT STATUS\n{_paragraphs(status)}",
            FILES,
            _examples(examples),
            _see_also("gsbatch"),
        ]
    )


def _value(value: str | None) -> str:
    return "" if value is None else (value if value.startswith("[") else f" {value}")


def _head(name: str, summary: str) -> str:
    return (
        f'.TH {name.upper()} 1 "" "gsbatch {advisor.__version__}" "gsbatch"\n.SH NAME\n'
        f"{_roff(name)} \\- {_roff(summary.rstrip('.'))}\n"
    )


def _examples(text: str) -> str:
    lines = [line for line in text.replace("\b", "").splitlines() if line.strip() and line.strip() != "Examples:"]
    return "" if not lines else ".SH EXAMPLES\n.nf\n" + "".join(f"{_roff(line.strip())}\n" for line in lines) + ".fi\n"


def _see_also(name: str) -> str:
    others = [f".BR {page} (1)" for page in PAGES if page != name]
    return ".SH SEE ALSO\n" + ",\n".join([".BR sbatch (1)", *others]) + "\n"


def _paragraphs(text: str) -> str:
    blocks = [" ".join(block.replace("\b", "").split()) for block in text.split("\n\n")]
    return "\n.PP\n".join(_roff(block) for block in blocks if block) + "\n"


def _roff(text: str) -> str:
    """Text that roff prints as it is: a leading dot or quote is no request, and a minus can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main() -> int:
    """Write the pages, or with ``--check`` compare them; 1 where a page is not as it would be written."""
    wanted = pages()
    if "--check" in sys.argv[1:]:
        there = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.1")}
        stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
        if stale:
            sys.stderr.write(f"run python docs/write_man_pages.py; these differ: {' '.join(stale)}\n")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file in FOLDER.glob("*.1"):
        file.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
