"""Marks epochs for the recorder: a datagram at each begin and end, sent without waiting and without signals."""

import json
import os
import socket
import time

from gsbatch_inside import keras_epochs, tensorflow_epochs, torch_epochs, trainer_epochs
from gsbatch_inside.post_import import when_imported

# Marks that found the sampler's queue full; they are sent before the next one.
_MOST_WAITING = 64


class MarkSender:
    """Sends marks to the sampler. What cannot be sent is kept for the next time, and in the end forgotten.

    ``framework_trains`` counts the trainings of frameworks whose own callbacks mark epochs now; while it is not 0, the
    passes over data mark validation only, and inside an open epoch nothing. ``framework_epoch`` is the last such
    epoch's (phase, index).
    """

    def __init__(self, path):
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._waiting = []
        self._pid = os.getpid()
        self._phases = 0
        self._passes = 0
        self.framework_trains = 0
        self.framework_epoch_open = False
        self.framework_epoch = None

    def new_phase(self):
        """The number of the next phase: another ``fit``, another optimizer."""
        self._phases += 1
        return self._phases - 1

    def new_pass(self):
        """The number of the next pass over data."""
        self._passes += 1
        return self._passes

    def begin_framework_epoch(self, phase, index, wanted):
        """Mark an epoch of a framework's own; ``wanted`` is how many there will be, or None."""
        self.framework_epoch_open, self.framework_epoch = True, (phase, index)
        self.send("epoch_begin", phase, index, epochs=wanted)

    def end_framework_epoch(self, phase, index, steps, samples):
        """Mark its end."""
        self.framework_epoch_open = False
        self.send("epoch_end", phase, index, steps=steps, samples=samples)

    def send(self, kind, phase, index, **facts):
        """Mark the begin or end of an epoch at this instant; never raises, never waits."""
        if os.getpid() != self._pid:
            return  # a forked worker: the epochs are its parent's
        mark = dict(facts, kind=kind, phase=phase, index=index, process=self._pid, time_s=time.time())
        self._waiting = self._waiting[-_MOST_WAITING:] + [json.dumps(mark).encode()]
        try:
            while self._waiting:
                self._socket.sendto(self._waiting[0], getattr(socket, "MSG_NOSIGNAL", 0), self._path)
                del self._waiting[0]
        except OSError:
            return


def start(path):
    """Wait for the frameworks whose epochs can be seen. Only the first process of a distributed training marks them."""
    for name in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"):
        if os.environ.get(name, "0") not in ("", "0"):
            return
    sender = MarkSender(path)
    when_imported("keras", lambda module: keras_epochs.hook(module, sender))
    torch_epochs.start(sender)
    tensorflow_epochs.start(sender)
    for package in ("lightning.pytorch", "pytorch_lightning"):
        when_imported(package, lambda module: trainer_epochs.hook_lightning(module, module.Callback, sender))
    when_imported("transformers.trainer", lambda module: trainer_epochs.hook_transformers(module, sender))
