"""The watching thread: takes what the server says while the main thread is busy, and looks from time to
time where the main thread is. Looking costs the script some ten microseconds; tracing its lines would
make it several times slower."""

import os
import signal
import sys
import threading
import time

from .channel import MAIN_THREAD

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
        next_look = time.monotonic() + next(looks)
        while True:
            self._channel.wait(max(0.0, next_look - time.monotonic()))
            if self._channel.ended:
                end_with_the_server()
            if self._channel.pump(self._steering.handle):
                self._steering.poke()
            if time.monotonic() >= next_look:
                self._look()
                next_look = time.monotonic() + next(looks, LOOK_EVERY)

    def _look(self):
        self._steering.tick()
        if self._steering.phase != "running":
            return
        line = self._steering.script_line(sys._current_frames().get(MAIN_THREAD))
        if line is not None:
            self._progress.line = line
        self._progress.wait = self._steering.wait
        self._progress.send()


def end_with_the_server():
    """The server is gone: nothing may go on driving the instrument without it."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
