"""Epochs of plain PyTorch loops and of accelerate, by the passes over their loaders.

Loaders and optimizers stay what they are: the classes' own methods are wrapped once, and what they return is untouched.
"""

import functools
import itertools
import sys
import weakref

from ...epochs.passes import Passes
from ...post_import import when_imported


class _Hooks:
    def __init__(self, sender):
        self.passes = Passes(sender, _world)
        self._of_iterator = weakref.WeakKeyDictionary()
        self._serials = weakref.WeakKeyDictionary()
        self._serial = itertools.count()
        self._inside = 0

    def install_loader(self, module):
        """``torch.utils.data.dataloader``: a pass begins where a loader is asked for an iterator."""
        loader, iterator = module.DataLoader, module._BaseDataLoaderIter
        original_iter, original_next = loader.__iter__, iterator.__next__

        @functools.wraps(original_iter)
        def iterate(this):
            made = original_iter(this)
            self._guarded(self._begin, made)
            return made

        @functools.wraps(original_next)
        def advance(this):
            try:
                batch = original_next(this)
            except StopIteration:
                self._guarded(self._end, this)
                raise
            self._guarded(self._read, this, batch)
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
            self._guarded(self.passes.backward)
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
            one = self._quietly(self.passes.begin)
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
                        self._guarded(self.passes.read, one, batch)
                    yield batch
            finally:
                if one is not None:
                    self._guarded(self.passes.end, one)

        return iterate

    def _begin(self, iterator):
        if self._inside:
            return
        self._end(iterator)  # persistent workers: the same iterator again, perhaps left before its end
        one = self.passes.begin()
        self._of_iterator[iterator] = one
        # A loop that was left early lets its iterator go; at exit nothing needs marking.
        weakref.finalize(iterator, self._guarded, self.passes.end, one).atexit = False

    def _read(self, iterator, batch):
        one = self._of_iterator.get(iterator)
        if one is not None:
            self.passes.read(one, batch)

    def _end(self, iterator):
        one = self._of_iterator.pop(iterator, None)
        if one is not None:
            self.passes.end(one)

    def _after_step(self, optimizer, args, kwargs):
        self._guarded(self._count_step, optimizer)

    def _count_step(self, optimizer):
        serial = self._serials.get(optimizer)
        if serial is None:
            serial = self._serials[optimizer] = next(self._serial)
        self.passes.step(serial)

    def _guarded(self, mark, *arguments):
        try:
            mark(*arguments)
        except Exception:
            pass  # an epoch that is not marked is better than a training that ends

    def _quietly(self, ask):
        try:
            return ask()
        except Exception:
            return None


def _world():
    """(rank, processes), as far as torch.distributed has been started."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def start(sender):
    """Wait for the parts of torch that a training loop uses."""
    hooks = _Hooks(sender)
    when_imported("torch.utils.data.dataloader", hooks.install_loader)
    when_imported("torch.optim.optimizer", hooks.install_optimizer)
    when_imported("torch.autograd", hooks.install_backward)
    when_imported("accelerate.data_loader", hooks.install_accelerate)
