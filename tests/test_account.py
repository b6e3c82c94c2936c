"""Whose process this is, also where the environment says otherwise or the machine has no name for its user."""

from __future__ import annotations

import os
import pwd

import pytest

from advisor.account import user_name
from tests.two_users import as_user, needs_root

SHOWN = "from advisor.account import user_name; print(user_name())"


@needs_root
def test_a_user_without_a_name_is_told_by_the_number() -> None:
    """Containers know no name for most users: no command may end in a traceback for that."""
    assert "54321\n" == as_user(54321, SHOWN).stdout


@pytest.mark.parametrize("value", [None, "somebody", ""])
def test_the_environment_does_not_say_who_it_is(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """Cron sets neither variable, sudo leaves the caller's."""
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)

    assert pwd.getpwuid(os.getuid()).pw_name == user_name()
