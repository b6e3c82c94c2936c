"""Call back when the user's script has imported a module, without importing it ourselves.

A finder at the front of ``sys.meta_path`` lets the ordinary finders find the module and only wraps its loader, so what
is imported, and in which order, stays the user's. A callback that fails is forgotten: the user's import never sees it.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Sequence

Callback = Callable[[ModuleType], None]


def when_imported(name: str, callback: Callback) -> None:
    """Call ``callback(module)`` once ``name`` has been executed; at once where that has happened already."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if module is not None and not getattr(spec, "_initializing", False):
        _call_back(callback, module)
        return
    _finder().waiting.setdefault(name, []).append(callback)


class _PostImportFinder(MetaPathFinder):
    """Wraps the loader of the awaited modules; finds nothing by itself."""

    def __init__(self) -> None:
        self.waiting: Dict[str, List[Callback]] = {}
        self._searching = threading.local()

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if fullname not in self.waiting or getattr(self._searching, "name", None) == fullname:
            return None
        self._searching.name = fullname
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching.name = None
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _NotifyingLoader(spec.loader, self)
        return spec


class _NotifyingLoader(Loader):
    """The module's own loader, with the callbacks after ``exec_module``."""

    def __init__(self, loader: Any, finder: _PostImportFinder) -> None:
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        created: Optional[ModuleType] = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        # The module sees its own loader again: some packages look at __spec__.loader while they start.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        for callback in self._finder.waiting.pop(module.__name__, []):
            _call_back(callback, module)


def _finder() -> _PostImportFinder:
    for finder in sys.meta_path:
        if isinstance(finder, _PostImportFinder):
            return finder
    finder = _PostImportFinder()
    sys.meta_path.insert(0, finder)
    return finder


def _call_back(callback: Callback, module: ModuleType) -> None:
    try:
        callback(module)
    except Exception:
        # Ours must never become an ImportError of the user's.
        return
