"""What an adapter of a framework is, and what it is attached with.

An adapter names the modules that it waits for. When the script has imported one of them, the adapter's own file is
loaded and attaches to that module with a session. The session owns all state: no module here keeps any of its own.

Nothing of the standard library is imported here: in a job, the user's folder may hold a file of the same name.
"""

import os

from .post_import import when_imported

_TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "frameworks", "frameworks.json")


class Session:
    """What the adapters of one run share, and the one guard between their mistakes and the user's code."""

    def __init__(self):
        self._parts = {}

    def keep(self, part):
        """Keep an adapter's state, the only one of its type, for itself and for the adapters that build on it."""
        self._parts[type(part)] = part
        return part

    def part(self, kind):
        """The state of this type; None where its adapter is not attached."""
        return self._parts.get(kind)

    def the(self, kind):
        """The state of this type, made with the session where it is not there yet."""
        found = self._parts.get(kind)
        return found if found is not None else self.keep(kind(self))

    def guard(self, function):
        """The function, whose mistakes are ours: they end here, and it then answers None."""

        def guarded(*args, **kwargs):
            try:
                return function(*args, **kwargs)
            except Exception as exc:
                self.failed(function, exc)
                return None

        return guarded

    def failed(self, function, exc):
        """A guarded function failed."""


class Adapter:
    """``modules`` are those that it waits for; ``place`` is its own file, which has a function ``attach``."""

    def __init__(self, modules, place):
        self.modules = tuple(modules)
        self.place = place

    def attach(self, module, session):
        """Attach to one of the modules, which the script has just imported."""
        __import__(self.place, fromlist=("attach",)).attach(module, session)

    def wait(self, session):
        """Attach as soon as one of the modules is imported."""
        attach = session.guard(self.attach)
        for name in self.modules:
            when_imported(name, lambda module: attach(module, session))


def adapters(kind):
    """All adapters of a kind, ``dry_run`` or ``epochs``, as the table of frameworks names them."""
    with open(_TABLE, encoding="utf-8") as file:
        table = eval(file.read(), {"__builtins__": {}})  # noqa: S307 (our own JSON, which has no word but Python's)
    package = __name__.rpartition(".")[0] + ".frameworks."
    return [
        Adapter(modules, package + place)
        for framework in table.values()
        for place, modules in framework.get(kind, {}).items()
    ]
