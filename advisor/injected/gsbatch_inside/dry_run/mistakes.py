"""Where in the user's own code a script ended, and with what error."""

import os
import traceback
from typing import Optional

_MOST_LETTERS = 160


def ended_by(exc: BaseException, script: str) -> str:
    """How a script ended: ``exit 2 at train.py:14``, ``error train.py:3: ValueError: ...``.

    The place is the innermost line of the user's own code: the script, or a module that is of no installed package.
    """
    place = _place(exc, script)
    if isinstance(exc, SystemExit):
        code = str(exc.code if exc.code is not None else 0).strip().split("\n")[0][:_MOST_LETTERS]
        return "exit %s%s" % (code, " at %s" % place if place and exc.code not in (None, 0) else "")
    text = str(exc).strip().split("\n")[0][:_MOST_LETTERS]
    return "error %s%s%s" % ("%s: " % place if place else "", type(exc).__name__, ": %s" % text if text else "")


def _place(exc: BaseException, script: str) -> Optional[str]:
    folder = os.path.dirname(os.path.realpath(script))
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        path = os.path.realpath(frame.filename)
        if os.path.isfile(path) and not _is_foreign(path):
            is_beside = path.startswith(folder + os.sep)
            return "%s:%s" % (os.path.relpath(path, folder) if is_beside else path, frame.lineno)
    return None


def _is_foreign(path: str) -> bool:
    """Whether a file is of an installed package, of Python itself, or ours."""
    parts = path.split(os.sep)
    return path.startswith(_FOREIGN) or "site-packages" in parts or "dist-packages" in parts


def _folder(path: str, levels: int) -> str:
    path = os.path.realpath(path)
    for _ in range(levels):
        path = os.path.dirname(path)
    return path + os.sep


# Python's own modules and the folder of this package.
_FOREIGN = (_folder(os.__file__, 1), _folder(__file__, 3))
