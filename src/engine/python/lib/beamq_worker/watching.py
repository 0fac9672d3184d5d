"""The watching thread: looks from time to time where the main thread is. Looking costs the script some
ten microseconds; tracing its lines would make it several times slower.

It also takes what the server says when the main thread has not: usually the signal that comes with a
message has the main thread take it at once, and a second thread that is woken by the same message would
only make it wait for the interpreter's lock.
"""

import os
import signal
import sys
import threading

from .channel import MAIN_THREAD
from .steering import original_sleep

# Seconds between two looks: soon after the start, so that short scripts show a line, then rarely.
FIRST_LOOKS = (0.01, 0.03, 0.06)
LOOK_EVERY = 0.1


class Watching:
    """Runs beside the script until the process ends."""

    def __init__(self, channel, steering, progress):
        self._channel = channel
        self._steering = steering
        self._progress = progress

    def start(self):
        """Begin to watch."""
        threading.Thread(target=self._run, name="beamq-watching", daemon=True).start()

    def _run(self):
        looks = iter(FIRST_LOOKS)
        while True:
            original_sleep(next(looks, LOOK_EVERY))
            if self._channel.closed_here:
                return
            if self._channel.ended:
                end_with_the_server()
            if self._channel.pump(self._steering.handle):
                self._steering.poke()
            try:
                self._look()
            except Exception:  # What a script has broken must not end the watching, nor an abort with it.
                pass

    def _look(self):
        self._steering.tick()
        if self._steering.phase != "running":
            return
        line = self._steering.script_line(sys._current_frames().get(MAIN_THREAD))
        if line is not None:
            self._progress.line = line
        self._progress.wait = self._steering.shown_wait()
        self._progress.send()


def end_with_the_server():
    """The server is gone: nothing may go on driving the instrument without it."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
