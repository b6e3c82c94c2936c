"""Load the script and its own modules with their training loops rewritten; installed packages are left as they are."""

import builtins
import os
import sys
import types
from importlib.machinery import SourceFileLoader
from typing import Any

from . import loop_source
from .session import DryRun

_FOREIGN = ("site-packages", "dist-packages", os.path.dirname(os.__file__))


def watch_local_modules(session: DryRun, folder: str) -> None:
    """Modules below ``folder`` are compiled anew, whatever their cached bytecode says."""
    setattr(builtins, loop_source.NAME, session.loops)
    original = SourceFileLoader.get_code

    def get_code(self: Any, fullname: str) -> Any:
        path = os.path.realpath(self.get_filename(fullname))
        if not path.startswith(folder + os.sep) or any(part in path for part in _FOREIGN):
            return original(self, fullname)
        return session.source.compiled(self.get_data(path), path)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]


def run_script(session: DryRun, path: str) -> None:
    """Run the script as ``python PATH`` does."""
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=builtins)
    sys.modules["__main__"] = module
    with open(path, "rb") as stream:
        code = session.source.compiled(stream.read(), path)
    exec(code, module.__dict__)  # noqa: S102 (it is the user's script, which the user asked to run)
