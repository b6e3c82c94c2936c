"""Packages that only some commands need, installed with an extra of gsbatch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from advisor.errors import ExtraMissing


@contextlib.contextmanager
def needs_extra(extra: str, *, what: str) -> Iterator[None]:
    """Translate the failure of an import, inside a with statement, if the extra is not installed.

    Args:
        extra: its name.
        what: the command that needs it.

    Raises:
        ExtraMissing: a package that is not ours is missing.
    """
    try:
        yield
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package in {"", "advisor"}:
            raise
        raise ExtraMissing(what, extra=extra, package=package) from exc
