"""``numpy.memmap`` of a file that is not on this machine: zeros, without end where nothing says how many.

A network is often trained on random pieces of one long file of tokens, and its number of steps is an option: such a
training can be gone through without the file. How long a stand-in is must not be taken for a size of the real data.
It is far longer than any, so that a count that hangs on its length is too (``Report`` leaves such counts out).
"""

import os
from typing import Any, Set

from ...dry_run.session import DryRun
from ...sandbox.reads import Reads

_ELEMENTS = 1 << 58
_ARGUMENTS = ("dtype", "mode", "offset", "shape")  # after the file's name
_ONLY_READ = ("r", "c", "readonly", "copyonwrite")
# What a file beside the data may settle: the size of a vocabulary, and with it that of a network.
_OF_A_NETWORK = ("parameters", "trainable_parameters", "forward_flops_per_sample", "training_flops_per_sample",
                 "activation_elements", "saved_bytes_per_sample")  # fmt: skip


def attach(module: Any, session: DryRun) -> None:
    """``numpy``."""
    original = module.memmap
    stand_ins = _StandIns(module, session)

    class MemoryMap(original):  # type: ignore[misc, valid-type]
        """A file, or a stand-in for it."""

        def __new__(cls, filename: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original.__new__(cls, filename, *args, **kwargs)
            except FileNotFoundError:
                given = {**dict(zip(_ARGUMENTS, args)), **kwargs}
                if given.get("mode", "r+") not in _ONLY_READ:
                    raise
            return stand_ins.of(filename, given.get("dtype", "uint8"), given.get("shape"))

    MemoryMap.__module__, MemoryMap.__name__, MemoryMap.__qualname__ = original.__module__, "memmap", "memmap"
    module.memmap = MemoryMap


class _StandIns:
    def __init__(self, numpy: Any, session: DryRun) -> None:
        self._numpy = numpy
        self._session = session
        self._paths: Set[str] = set()

    def of(self, path: Any, dtype: Any, shape: Any) -> Any:
        """Zeros in place of this file."""
        path = os.path.abspath(os.fsdecode(path))
        self._paths.add(path)
        note, reads = self._session.report.note, self._session.part(Reads)
        note("%s is not on this machine: zeros stand in for what it holds" % os.path.basename(path))
        if reads is not None and reads.missed_beside(path) - self._paths:
            note("a file beside its data is missing too: the size of the network may hang on it")
            self._session.ledger.withhold(*_OF_A_NETWORK)
        zeros = self._numpy.zeros((), dtype)
        return self._numpy.broadcast_to(zeros, (_ELEMENTS // zeros.itemsize,) if shape is None else shape)
