"""What programs that only tell something would say, for scripts that read it: they are not started."""

import json
import os
import platform
import sys
from typing import Any

_ANSWERS = {
    "stty size": "24 80\n",
    "tput cols": "80\n",
    "tput lines": "24\n",
    "uname": platform.system() + "\n",
    "hostname": platform.node() + "\n",
    "nproc": "%d\n" % (os.cpu_count() or 1),
}
# How jsonargparse, with which LightningCLI reads a command line, asks Python for the folders that it imports from.
_PATHS = "-c import sys, json; print(json.dumps(sys.path))"


def in_words(arguments: Any) -> str:
    """A program and its first arguments, as a shell would be given them."""
    if isinstance(arguments, (str, bytes)):
        return os.fsdecode(arguments)
    try:
        return " ".join(os.fsdecode(argument) for argument in list(arguments)[:3])
    except TypeError:
        return str(arguments)


def answer_of(arguments: Any) -> str:
    """What a program writes to its standard output; nothing where that is not known."""
    said = in_words(arguments).split("2>")[0].strip()
    if said == "%s %s" % (sys.executable, _PATHS):
        return json.dumps(sys.path) + "\n"
    return _ANSWERS.get(said, "")
