"""Errors in one line: where in the user's own code a script ended, and what could not be done in a dry run."""

import os
import re
import traceback
from typing import Optional

_MOST_LETTERS = 160
# First lines of errors that Keras and TensorFlow pass on; what was wrong is further down, with Keras in bold.
_SAYS_NOTHING = ("in user code:",)
_OF_KERAS = "Exception encountered when calling "
_MARKED = re.compile("\x1b\\[1m(.+?)\x1b\\[0m", re.DOTALL)
_ERROR = re.compile(r"\w+(Error|Exception): .")


def ended_by(exc: BaseException, script: str) -> str:
    """How a script ended: ``exit 2 at train.py:14``, ``error train.py:3: ValueError: ...``.

    The place is the innermost line of the user's own code: the script, or a module that is of no installed package.
    """
    place = _place(exc, script)
    if isinstance(exc, SystemExit):
        code = str(exc.code if exc.code is not None else 0).strip().split("\n")[0][:_MOST_LETTERS]
        return "exit %s%s" % (code, " at %s" % place if place and exc.code not in (None, 0) else "")
    text = _text(exc)[:_MOST_LETTERS]
    return "error %s%s%s" % ("%s: " % place if place else "", type(exc).__name__, ": %s" % text if text else "")


def in_brief(exc: BaseException, most_letters: int = 120) -> str:
    """An error's type and the beginning of its text."""
    return "%s: %s" % (type(exc).__name__, str(exc).strip()[:most_letters])


def _text(exc: BaseException) -> str:
    """The line of an error's text that says what is wrong."""
    lines = [line.strip() for line in str(exc).strip().split("\n")]
    if lines[0] not in _SAYS_NOTHING and not lines[0].startswith(_OF_KERAS):
        return lines[0]
    marked = _MARKED.search(str(exc))
    if marked is not None:
        return marked.group(1).strip().split("\n")[0]
    # TensorFlow gives a traceback of its own, with the error after it.
    last = [line for line in lines[1:] if _ERROR.match(line)]
    return last[-1].partition(": ")[2] if last else lines[0]


def _place(exc: BaseException, script: str) -> Optional[str]:
    folder = os.path.dirname(os.path.realpath(script))
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        path = os.path.realpath(frame.filename)
        if os.path.isfile(path) and not is_foreign(path):
            is_beside = path.startswith(folder + os.sep)
            return "%s:%s" % (os.path.relpath(path, folder) if is_beside else path, frame.lineno)
    return None


def is_foreign(path: str) -> bool:
    """Whether a file is of an installed package, of Python itself, ours, or made by TensorFlow from another."""
    parts = path.split(os.sep)
    if parts[-1].startswith("__autograph_generated_file"):
        return True
    return path.startswith(_FOREIGN) or "site-packages" in parts or "dist-packages" in parts


def _folder(path: str, levels: int) -> str:
    path = os.path.realpath(path)
    for _ in range(levels):
        path = os.path.dirname(path)
    return path + os.sep


# Python's own modules and the folder of this package.
_FOREIGN = (_folder(os.__file__, 1), _folder(__file__, 3))
