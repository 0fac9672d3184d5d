"""What the `beamq` module and the `nicos` shim call when a script runs under the server."""

import sys
from _thread import get_ident

from .channel import MAIN_THREAD, cut, safe_text

LONGEST_TEXT = 1_000
LONGEST_NOTE = 10_000


def short(text):
    """A text for people, of bounded length."""
    return None if text is None else cut(safe_text(text), LONGEST_TEXT)


class Bridge:
    """The server's side of the `beamq` module."""

    def __init__(self, channel, steering, progress, cells):
        self._channel = channel
        self._steering = steering
        self._progress = progress
        self._cells = cells
        self._basis = "tags" if any(cell.progress is not None for cell in cells) else "cells"
        # Made when the first command is called: most of it is of no use to other scripts.
        self.calls = None

    def progress(self, done, total, text):
        if text is not None:
            self._progress.text = short(text)
        whole = 100.0 if total is None else float(total)
        if whole > 0:
            self._progress.reach(100.0 * float(done) / whole, "tags")

    def track(self, iterable, total, text):
        if get_ident() != MAIN_THREAD:
            return iter(iterable)
        return self._progress.track(iterable, total, short(text))

    def step(self, name):
        """Enter a step. Returns the one before."""
        before = self._progress.step
        self._locate()
        self._progress.enter_step(short(name))
        return before

    def leave_step(self, before, error):
        """Leave a step for the one before; `error` is the exception that ends it, if one does."""
        if error is not None:
            self._progress.note_step_of(error)
        self._progress.enter_step(before)

    def enter_cell(self, number):
        """Called in front of the first statement of a cell."""
        cell = self._cells[number]
        if cell.low is not None:
            self._progress.begin_share(cell.low, cell.high, self._basis)
        self._progress.line = cell.line
        self._progress.enter_step(short(cell.title))
        if cell.pause:
            self._steering.point()

    def run_command(self, name, implementation, arguments):
        """Call a command of the catalogue, and record the call."""
        return self._recorder().run(name, implementation, arguments)

    def refuse_command(self, error):
        """A call of a command was refused because of its arguments; the script may go on after that."""
        self._recorder().refused(error)

    def waiting(self, text):
        if self.calls is None:
            self._steering.poll(3)
        else:
            self.calls.waiting(text)

    def report_error(self, exception, command, arguments):
        self._recorder().report_error(exception, command, arguments)

    def _recorder(self):
        if self.calls is None:
            from .calls import Calls

            self.calls = Calls(self._channel, self._steering, self._progress)
        return self.calls

    def pause_point(self, text):
        if text is not None:
            self._progress.text = short(text)
        self._steering.point()

    def note(self, text):
        text = cut(safe_text(text), LONGEST_NOTE)
        self._progress.text = short(text)
        self._channel.send("note", text=text)

    def checkpoint(self, name, values):
        said = ", ".join("%s=%s" % (key, safe_text(value, repr)) for key, value in values.items())
        text = "checkpoint %s%s" % (safe_text(name), ": " + said if said else "")
        self._channel.send("note", text=cut(text, LONGEST_NOTE))

    def sleep(self, seconds):
        steering = self._steering
        if not steering.steers_here():
            return False
        steering.point(("point", "now"))
        steering.sleep(float(seconds))
        return True

    def ask(self, text, default, choices, timeout):
        return self._steering.questions.ask(safe_text(text), choices, default, timeout)

    def poll(self, level):
        self._steering.poll(level)

    def _locate(self):
        line = self._steering.script_line(sys._getframe())
        if line is not None:
            self._progress.line = line
