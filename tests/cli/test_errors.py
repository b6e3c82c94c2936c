"""An error as a person reads it: one line, of a length that fits a screen, that steers no terminal."""

from __future__ import annotations

import pytest

from advisor.cli.errors import report_error
from advisor.errors import ConfigurationError


def test_an_error_shows_what_it_quotes_without_obeying_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A message quotes file names, settings and what other programs said."""
    status = report_error(ConfigurationError("bad \x1b[2J\u202e name", hint="Mend \x07it"), "gsinfo")

    assert (2, "gsinfo: bad \\x1b[2J\\u202e name\ngsinfo: Mend \\x07it\n") == (status, capsys.readouterr().err)


def test_an_error_has_a_bounded_length(capsys: pytest.CaptureFixture[str]) -> None:
    """Its beginning and its end say what and where."""
    report_error(ConfigurationError("begin " + "x" * 1_000_000 + " end"), "gsinfo")
    shown = capsys.readouterr().err

    assert len(shown) < 1100
    assert shown.startswith("gsinfo: begin x")
    assert shown.endswith("x end\n")
