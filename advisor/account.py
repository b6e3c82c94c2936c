"""Whose process this is, by its uid: cron, sudo and containers leave $USER and $LOGNAME wrong or unset."""

from __future__ import annotations

import os
import pwd


def user_name() -> str:
    """The name of this process's user; the uid in digits where no name is known for it, as in some containers."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
