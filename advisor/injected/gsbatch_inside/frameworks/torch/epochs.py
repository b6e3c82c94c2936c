"""Epochs of plain PyTorch loops and of accelerate, by the passes over their loaders.

Loaders and optimizers stay what they are: the classes' own methods are wrapped once, and what they return is untouched.
"""

import functools
import itertools
import sys
import weakref

from ...epochs.passes import Passes


class _Hooks:
    def __init__(self, session):
        passes = Passes(session.sender, _world)
        self._begin_pass, self._end_pass = session.guard(passes.begin), session.guard(passes.end)
        self._read_pass, self._backward = session.guard(passes.read), session.guard(passes.backward)
        self._passes = passes
        self._of_iterator = weakref.WeakKeyDictionary()
        self._serials = weakref.WeakKeyDictionary()
        self._serial = itertools.count()
        self._inside = 0
        for name in ("_begin", "_read", "_end", "_count_step"):
            setattr(self, name, session.guard(getattr(self, name)))

    def install_loader(self, module):
        """``torch.utils.data.dataloader``: a pass begins where a loader is asked for an iterator."""
        loader, iterator = module.DataLoader, module._BaseDataLoaderIter
        original_iter, original_next = loader.__iter__, iterator.__next__

        @functools.wraps(original_iter)
        def iterate(this):
            made = original_iter(this)
            self._begin(made)
            return made

        @functools.wraps(original_next)
        def advance(this):
            try:
                batch = original_next(this)
            except StopIteration:
                self._end(this)
                raise
            self._read(this, batch)
            return batch

        loader.__iter__ = iterate
        iterator.__next__ = advance

    def install_optimizer(self, module):
        """``torch.optim.optimizer``: torch's own hook for what follows a step (torch 2.0 and newer)."""
        register = getattr(module, "register_optimizer_step_post_hook", None)
        if register is not None:
            register(self._after_step)

    def install_backward(self, module):
        """``torch.autograd``: every ``Tensor.backward`` looks its function up here."""
        original = module.backward

        @functools.wraps(original)
        def backward(*args, **kwargs):
            result = original(*args, **kwargs)
            self._backward()
            return result

        module.backward = backward

    def install_accelerate(self, module):
        """``accelerate.data_loader``: its loaders read a batch ahead, so the pass is theirs, not the inner loader's."""
        for name in ("DataLoaderShard", "DataLoaderDispatcher"):
            kind = getattr(module, name, None)
            if kind is not None and "__iter__" in vars(kind):
                kind.__iter__ = self._reading(kind.__iter__)

    def _reading(self, original):
        @functools.wraps(original)
        def iterate(this):
            one = self._begin_pass()
            batches = original(this)
            try:
                while True:
                    self._inside += 1
                    try:
                        batch = next(batches)
                    except StopIteration:
                        return
                    finally:
                        self._inside -= 1
                    if one is not None:
                        self._read_pass(one, batch)
                    yield batch
            finally:
                if one is not None:
                    self._end_pass(one)

        return iterate

    def _begin(self, iterator):
        if self._inside:
            return
        self._end(iterator)  # persistent workers: the same iterator again, perhaps left before its end
        one = self._passes.begin()
        self._of_iterator[iterator] = one
        # A loop that was left early lets its iterator go; at exit nothing needs marking.
        weakref.finalize(iterator, self._end_pass, one).atexit = False

    def _read(self, iterator, batch):
        one = self._of_iterator.get(iterator)
        if one is not None:
            self._passes.read(one, batch)

    def _end(self, iterator):
        one = self._of_iterator.pop(iterator, None)
        if one is not None:
            self._passes.end(one)

    def _after_step(self, optimizer, args, kwargs):
        self._count_step(optimizer)

    def _count_step(self, optimizer):
        serial = self._serials.get(optimizer)
        if serial is None:
            serial = self._serials[optimizer] = next(self._serial)
        self._passes.step(serial)


def _world():
    """(rank, processes), as far as torch.distributed has been started."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


_INSTALL = {
    "torch.utils.data.dataloader": _Hooks.install_loader,
    "torch.optim.optimizer": _Hooks.install_optimizer,
    "torch.autograd": _Hooks.install_backward,
    "accelerate.data_loader": _Hooks.install_accelerate,
}


def attach(module, session):
    """One of the parts of torch that a training loop uses."""
    hooks = session.the(_Hooks)
    _INSTALL[module.__name__](hooks, module)
