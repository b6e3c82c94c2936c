"""The documents keep up with the code: the command reference is written by the program, links lead somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
_LINK = re.compile(r"(?<!\!)\[[^\]]*\]\((?P<target>[^)\s]+)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(?P<title>.+?) *$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def relative(path: Path) -> str:
    """A page's name for test ids."""
    return str(path.relative_to(REPOSITORY))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    titles = [match["title"] for match in _HEADING.finditer(_FENCE.sub("", page.read_text(encoding="utf-8")))]
    plain = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {title.replace(" ", "-") for title in plain}


def broken_links(page: Path) -> Iterator[str]:
    """Relative links of a page that lead to no file or to no heading."""
    for match in _LINK.finditer(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        target = match["target"] or match["image"]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link in the documents leads to a file, and to a heading where it names one."""
    assert [] == list(broken_links(page))


@pytest.mark.parametrize("program", ["write_cli_reference.py", "write_man_pages.py"])
def test_reference_is_what_the_commands_say(program: str) -> None:
    """docs/cli.md and man/ are written by programs; after a change of an option they are written again, not edited."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "docs" / program), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("page", sorted((REPOSITORY / "man" / "man1").glob("*.1")), ids=lambda page: page.name)
def test_manual_page_is_clean_roff(page: Path) -> None:
    """Groff warns of nothing, and the page names its command."""
    done = subprocess.run(["groff", "-man", "-Tascii", "-ww", str(page)], capture_output=True, text=True, check=True)

    assert "" == done.stderr
    assert page.stem.upper() in done.stdout


def test_every_command_has_a_section() -> None:
    """Each program that is installed, and each admin command, can be looked up."""
    from advisor.cli.gsadmin import COMMANDS  # noqa: PLC0415 (the other tests need no click)

    page = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        programs = tomllib.load(file)["project"]["scripts"]
    wanted = [f"## {name}" for name in programs] + [f"### gsadmin {name}" for name in COMMANDS]

    assert [] == [heading for heading in wanted if heading not in page.splitlines()]


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """The check sees a missing file, a missing heading, and nothing in code blocks."""
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](none.md) [b](#a-title) [c](#other) [d](https://x.org/)\n```\n[e](none.py)\n```\n")

    assert ["none.md", "#other"] == list(broken_links(page))
