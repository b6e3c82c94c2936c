"""Whether the training is to stop after this epoch: the sampler's word, waited for only where the user asked for one.

The question is a mark with one end of a pipe attached; the answer comes through the other. A sampler that is dead or
slow costs a moment: an answer that is late is read at the next epoch's end.
"""

import _signal
import _socket
import os
import sys
import time

# Of an epoch's own time, and at most.
_SHARE_OF_EPOCH, _LONGEST_S = 0.01, 0.2
_MOST_METRICS, _LONGEST_NAME = 32, 64


class Way:
    """How a training can be stopped.

    Args:
        name: of the framework.
        stop: sets what the framework looks at between epochs; None in a loop of the script's own.
        processes: how many train together. One that stopped alone would leave the others waiting for ever.
    """

    def __init__(self, name, stop, processes):
        self.name = name
        self.stop = stop
        self.processes = processes


class StopWord:
    """Asks, waits a moment, and tells the training in the way that it understands."""

    def __init__(self):
        self._late = None
        self._signalled = False

    def ask(self, message, send, epoch_s):
        """Send ``message`` by ``send(buffers, ancillary)``; the answer, or None where there is none in time.

        Raises:
            OSError: it could not be sent.
        """
        answer_end, question_end = os.pipe()
        try:
            descriptor = question_end.to_bytes(4, sys.byteorder)
            send([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptor)])
        except OSError:
            os.close(answer_end)
            raise
        finally:
            os.close(question_end)
        late, self._late = self._late, answer_end
        if late is not None:
            word = _read(late, 0.0)
            os.close(late)
            if word:
                return word
        word = _read(answer_end, min(epoch_s * _SHARE_OF_EPOCH, _LONGEST_S))
        if word is not None:
            os.close(answer_end)
            self._late = None
        return word or None

    def obey(self, word, way):
        """Stop the training as ``word`` says; returns by what it was told, None where it has been told already."""
        if way.stop is not None and way.processes == 1:
            way.stop()
            return way.name
        name = word.partition(" ")[2]
        if not name:
            return "none: " + ("several processes train together" if way.processes != 1 else way.name)
        if self._signalled:
            return None
        self._signalled = True
        return "signal " + name

    @staticmethod
    def deliver(by):
        """Send the signal, if it is one that was named."""
        kind, _, name = by.partition(" ")
        if kind == "signal":
            os.kill(os.getpid(), getattr(_signal, "SIG" + name))


def numbers(metrics):
    """What a framework reports, as far as it is numbers: name to float. Reading one can wait for a GPU."""
    found = {}
    for name, value in list((metrics or {}).items())[:_MOST_METRICS]:
        try:
            found[str(name)[:_LONGEST_NAME]] = float(value)
        except (TypeError, ValueError, RuntimeError):
            continue
    return {name: value for name, value in found.items() if abs(value) < float("inf")}  # NaN is not below either


def _read(descriptor, longest_s):
    """The answer, ``stop`` or ``stop SIGNAL``; empty for "go on", None while there is none."""
    os.set_blocking(descriptor, False)
    until = time.monotonic() + longest_s
    while True:
        try:
            return os.read(descriptor, 4096).decode("ascii", "replace").strip()
        except BlockingIOError:
            if time.monotonic() >= until:
                return None
            time.sleep(0.0005)
