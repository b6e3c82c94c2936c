"""What the script's course hangs on: files it read, looked for or imported, folders it listed, variables it read.

With it the next dry run of the same script can be answered from what the last one found (advisor/inspection/cache.py).
What is installed with the interpreter is left out; its folders' times tell whether something was installed since.
Files that compiled code reads unseen (HDF5, TFRecord) are known only where an argument names them.
"""

import os
import sys
from typing import Any, Dict, List, Set

CONTENT, NAMES, TIME = "content", "names", "time"
_MOST = 1000
_INSTALLED = ("site-packages", "dist-packages")
_OF_AN_INSTALLATION = ("bin", "etc", "include", "lib", "lib64", "share")
_SYSTEM = ("/dev/", "/proc/", "/sys/", "/usr/", "/lib", "/etc/", "/var/lib/")
# These differ from one login to the next and tell nothing; "_" is what the shell runs.
_OF_A_LOGIN = (
    "COLUMNS", "DBUS_", "DISPLAY", "LINES", "LS_COLORS", "OLDPWD", "PS1", "PWD", "SHLVL", "SSH_", "STY", "TERM", "TMUX",
    "VSCODE_", "WINDOWID", "XDG_SESSION", "XDG_RUNTIME_DIR",
)  # fmt: skip


class Reads:
    """What the script looks at; what lies in its own scratch folder is left out."""

    def __init__(self, scratch: str) -> None:
        self._scratch = scratch
        self._paths: Dict[str, str] = {}
        self._variables: Set[str] = set()
        self._left_out: List[str] = []

    def watch(self) -> None:
        """Keep in mind what is read from now on."""
        own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        standard = os.path.dirname(os.__file__)
        self._left_out.extend(folder + "/" for folder in (self._scratch, own, standard, os.path.realpath(standard)))
        for prefix in {sys.prefix, sys.base_prefix}:
            self._left_out.extend("%s/%s/" % (prefix, name) for name in _OF_AN_INSTALLATION)
        environment = type(os.environ)
        original, variables = environment.__getitem__, self._variables

        def getitem(this: Any, key: Any) -> Any:
            if len(variables) < _MOST and isinstance(key, str):
                variables.add(key)
            return original(this, key)

        environment.__getitem__ = getitem  # type: ignore[method-assign]

    def looked_at(self, path: str, *, listed: bool = False) -> None:
        """The script looked at this absolute path."""
        if len(self._paths) >= _MOST or (path in self._paths and not listed):
            return
        if path.startswith(_SYSTEM + tuple(self._left_out)) or any(name in path for name in _INSTALLED):
            return
        # Python itself looks for packages in the script's folder, where each job leaves new files.
        self._paths[path] = NAMES if listed and not _by_import_system(sys._getframe(3)) else CONTENT

    def missed_beside(self, path: str) -> Set[str]:
        """Files that the script looked for in the folder of this one, and that are not there."""
        beside = {one for one in list(self._paths) if os.path.dirname(one) == os.path.dirname(path)}
        return {one for one in beside if not os.path.lexists(one)}

    def summary(self) -> Dict[str, Any]:
        """All of it, for the record."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str):
                self.looked_at(os.path.abspath(file))
        for folder in sys.path:
            if any(name in folder for name in _INSTALLED):
                self._paths[os.path.abspath(folder)] = TIME
        telling = [name for name in list(self._variables) if name != "_" and not name.startswith(_OF_A_LOGIN)]
        return {"paths": dict(self._paths), "variables": sorted(telling)}


def _by_import_system(caller: Any) -> bool:
    return str(caller.f_globals.get("__name__")).startswith(("importlib", "pkgutil", "pkg_resources"))
