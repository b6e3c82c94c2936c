"""Epochs of custom TensorFlow loops, found from the passes over their data sets.

A compiled step calls no Python code. A pass is therefore recognised as training by the optimizer's own count of steps,
which is read when the pass begins and ends.
"""

import functools
import weakref

from ...epochs.passes import Passes


class _Hooks:
    def __init__(self, session):
        self._passes = Passes(session.sender)
        self._sender = session.sender
        self._of_iterator = weakref.WeakKeyDictionary()
        self._optimizers = []
        self._taken_at_begin = {}
        for name in ("_begin", "_read", "_end", "_finish", "_note"):
            setattr(self, name, session.guard(getattr(self, name)))

    def install_iterator(self, module):
        """``tensorflow.python.data.ops.iterator_ops``: eager iterators; a pass begins with its first batch."""
        kind = module.OwnedIterator
        original = kind.__next__

        @functools.wraps(original)
        def advance(this):
            self._begin(this)
            try:
                batch = original(this)
            except StopIteration:
                self._end(this)
                raise
            self._read(this, batch)
            return batch

        kind.__next__ = advance

    def install_optimizers(self, module):
        """``keras.optimizers``: note every optimizer that is ever applied, also while a step is compiled.

        Keras 2 has a second family of them, ``legacy``; Keras 3 only their names.
        """
        for kind in (module.Optimizer, getattr(getattr(module, "legacy", None), "Optimizer", None)):
            name = "apply" if hasattr(kind, "apply") else "apply_gradients"
            if hasattr(kind, name):
                self._install_optimizer(kind, name)

    def _install_optimizer(self, kind, name):
        original = getattr(kind, name)

        @functools.wraps(original)
        def apply(this, *args, **kwargs):
            self._note(this)
            return original(this, *args, **kwargs)

        setattr(kind, name, apply)

    def _note(self, optimizer):
        if not any(known() is optimizer for known in self._optimizers):
            self._optimizers.append(weakref.ref(optimizer))

    def _steps(self):
        """Steps so far by the number of each optimizer; reading one can wait for a GPU, so it is read once a pass."""
        taken = {}
        for number, known in enumerate(self._optimizers):
            optimizer = known()
            if optimizer is not None:
                taken[number] = int(optimizer.iterations.numpy())
        return taken

    def _begin(self, iterator):
        if iterator in self._of_iterator or self._sender.framework_trains:
            return
        one = self._passes.begin()
        self._of_iterator[iterator] = one
        self._taken_at_begin[one.number] = self._steps()
        weakref.finalize(iterator, self._finish, one).atexit = False

    def _read(self, iterator, batch):
        one = self._of_iterator.get(iterator)
        if one is not None:
            self._passes.read(one, batch)

    def _end(self, iterator):
        one = self._of_iterator.pop(iterator, None)
        if one is not None:
            self._finish(one)

    def _finish(self, one):
        if one.ended:
            return
        now = self._steps()
        self._count(one, now)
        for other in self._passes.open():
            self._count(other, now)
        self._taken_at_begin.pop(one.number, None)
        self._passes.end(one)

    def _count(self, one, now):
        before = self._taken_at_begin.get(one.number, {})
        steps = {number: count - before.get(number, 0) for number, count in now.items()}
        one.steps = one.backwards = sum(steps.values())
        one.optimizers = {number for number, count in steps.items() if count}


_INSTALL = {"tensorflow.python.data.ops.iterator_ops": _Hooks.install_iterator}


def attach(module, session):
    """One of the parts of TensorFlow and Keras that a custom loop uses."""
    hooks = session.the(_Hooks)
    _INSTALL.get(module.__name__, _Hooks.install_optimizers)(hooks, module)
