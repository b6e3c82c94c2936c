"""Marks epochs for the recorder: a datagram at each begin and end, sent without waiting and without signals."""

import json
import os
import socket
import time

from gsbatch_inside import keras_epochs
from gsbatch_inside.post_import import when_imported

# Marks that found the sampler's queue full; they are sent before the next one.
_MOST_WAITING = 64


class MarkSender:
    """Sends marks to the sampler. What cannot be sent is kept for the next time, and in the end forgotten."""

    def __init__(self, path):
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._waiting = []
        self._pid = os.getpid()

    def send(self, kind, phase, index, **facts):
        """Mark the begin or end of an epoch at this instant; never raises, never waits."""
        if os.getpid() != self._pid:
            return  # a forked worker: the epochs are its parent's
        mark = dict(facts, kind=kind, phase=phase, index=index, time_s=time.time())
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
