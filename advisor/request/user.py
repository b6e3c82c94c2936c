"""Who is asking."""

from __future__ import annotations

import getpass
import os


def user_name() -> str:
    """Whose process this is; the number where no name is known for it, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the former before Python 3.13
        return str(os.getuid())
