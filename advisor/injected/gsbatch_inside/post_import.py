"""Call back when the user's script imports a module, without importing anything ourselves.

A finder at the front of ``sys.meta_path`` lets the other finders find the module and looks on: the import system says
in the module's spec when it begins and ends to run the module. So what is imported, by which loader and in which order
stays the user's, and an error in the module has no frame of ours in its traceback. A callback that fails is forgotten.

Loaded when the script looks for its first framework: it imports nothing but ``sys``.
"""

import sys


def when_imported(name, callback):
    """Call ``callback(module)`` once ``name`` has been executed; at once where that has happened already."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if module is not None and not getattr(spec, "_initializing", False):
        _call_back(callback, module)
        return
    _finder().waiting.setdefault(name, []).append(callback)


class PostImportFinder:
    """Finds nothing by itself. ``waiting`` holds the callbacks of each module."""

    def __init__(self):
        self.waiting = {}
        self._first = frozenset()
        self._start = None

    def before_first(self, names, callback):
        """Call ``callback()`` when the first of the modules is about to be executed."""
        self._first, self._start = frozenset(names), callback

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.waiting and fullname not in self._first:
            return None
        spec = self._found_by_others(fullname, path, target)
        if spec is not None and spec.loader is not None:
            try:
                spec.__class__ = _looked_on(type(spec), self)
            except TypeError:
                pass  # a kind of spec that a finder of the user's made; it is imported unseen
        return spec

    def _found_by_others(self, fullname, path, target):
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(fullname, path, target) if finder is not self and find is not None else None
            if spec is not None:
                return spec
        return None

    def begins(self, name):
        if name in self._first:
            self._first = frozenset()
            _call_back(self._start)

    def has_ended(self, name):
        callbacks = self.waiting.pop(name, [])
        module = sys.modules.get(name)
        if module is None:
            self.waiting[name] = callbacks  # it failed, and may be tried again
            return
        for callback in callbacks:
            _call_back(callback, module)


def _looked_on(kind, finder):
    """``kind`` of spec, of which the finder hears when its module begins and ends to run."""

    class Spec(kind):
        __slots__ = ()

        def __setattr__(self, attribute, value):
            kind.__setattr__(self, attribute, value)
            if attribute != "_initializing":
                return
            if value:
                finder.begins(self.name)
                return
            self.__class__ = kind
            finder.has_ended(self.name)

    Spec.__name__, Spec.__qualname__ = kind.__name__, kind.__qualname__
    return Spec


def _finder():
    for finder in sys.meta_path:
        if type(finder) is PostImportFinder:
            return finder
    finder = PostImportFinder()
    sys.meta_path.insert(0, finder)
    return finder


def _call_back(callback, *arguments):
    try:
        callback(*arguments)
    except Exception:
        # Ours must never become an ImportError of the user's.
        return
