"""Marks epochs for the recorder: a datagram at each begin and end, sent without waiting and without signals."""

import _socket
import os
import time

from .stop_word import StopWord

# Marks that found the sampler's queue full; they are sent before the next one.
_MOST_WAITING = 64


class MarkSender:
    """Sends marks to the sampler. What cannot be sent is kept for the next time, and in the end forgotten.

    ``framework_trains`` counts the trainings of frameworks whose own callbacks mark epochs now; while it is not 0, the
    passes over data mark validation only, and inside an open epoch nothing. ``framework_epoch`` is the last such
    epoch's (phase, index). ``asks`` says whether the user asked for trainings to be stopped.
    """

    def __init__(self, path, asks=False):
        self.asks = asks
        self._stop_word = StopWord()
        self._begun_at = time.time()
        self._path = path
        self._socket = _socket_above_standard_streams()
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

    def begin_framework_training(self):
        """A framework trains from now on whose own callbacks mark the epochs."""
        self.framework_trains += 1

    def end_framework_training(self):
        """It has returned, or raised."""
        self.framework_trains -= 1
        self.framework_epoch_open = False

    def begin_framework_epoch(self, phase, index, wanted):
        """Mark an epoch of a framework's own; ``wanted`` is how many there will be, or None."""
        self.framework_epoch_open, self.framework_epoch = True, (phase, index)
        self._begun_at = time.time()
        self.send("epoch_begin", phase, index, epochs=wanted)

    def end_framework_epoch(self, phase, index, way, **facts):
        """Mark its end; where the training is to stop, it does so by ``way``."""
        self.framework_epoch_open = False
        self.end_epoch(phase, index, way, self._begun_at, **facts)

    def end_epoch(self, phase, index, way, begun_at, **facts):
        """Mark the end of an epoch, and do as the sampler says; see ``StopWord``."""
        if not self.asks or os.getpid() != self._pid:
            self.send("epoch_end", phase, index, **facts)
            return
        word = self._ask(phase, index, time.time() - begun_at, facts)
        by = self._stop_word.obey(word, way) if word else None
        if by is not None:
            self.send("stopped", phase, index, by=by)
            self._stop_word.deliver(by)

    def send(self, kind, phase, index, **facts):
        """Mark the begin or end of an epoch at this instant; never raises, never waits."""
        if os.getpid() != self._pid:
            return  # a forked worker: the epochs are its parent's
        self._waiting = self._waiting[-_MOST_WAITING:] + [self._mark(kind, phase, index, facts)]
        try:
            self._send_waiting()
        except OSError:
            return

    def _ask(self, phase, index, epoch_s, facts):
        mark = self._mark("epoch_end", phase, index, facts)
        try:
            self._send_waiting()
            return self._stop_word.ask(mark, self._send_message, epoch_s)
        except OSError:
            self._waiting.append(mark)
            return None

    def _mark(self, kind, phase, index, facts):
        mark = dict(facts, kind=kind, phase=phase, index=index, process=self._pid)
        mark.update(time_s=time.time(), monotonic_s=time.monotonic())
        return _json(mark).encode()

    def _send_waiting(self):
        while self._waiting:
            self._send_message([self._waiting[0]], [])
            del self._waiting[0]

    def _send_message(self, buffers, ancillary):
        self._socket.sendmsg(buffers, ancillary, getattr(_socket, "MSG_NOSIGNAL", 0), self._path)


def _socket_above_standard_streams():
    """Where stdin, stdout or stderr is closed, a socket of that number would get what is meant for it."""
    made = [_socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)]
    while made[-1].fileno() <= 2:
        made.append(_socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM))
    for unfit in made[:-1]:
        unfit.close()
    return made[-1]


def _json(value):
    """A mark as JSON, without the module of that name, which may be a file of the script's own."""
    if isinstance(value, dict):
        return "{" + ", ".join(_json(str(name)) + ": " + _json(part) for name, part in value.items()) + "}"
    if isinstance(value, str):
        return '"' + "".join(letter if _is_plain(letter) else _escaped(letter) for letter in value) + '"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(int(value)) if isinstance(value, int) else repr(float(value))


def _is_plain(letter):
    return " " <= letter <= "~" and letter not in '"\\'


def _escaped(letter):
    return "\\u{:04x}".format(ord(letter)) if ord(letter) <= 0xFFFF else "?"
