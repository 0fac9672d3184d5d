"""The calls of catalogue commands: which one runs, how each ended, and which errors the script went on
after. The server is told of every call when it begins and when it ends."""

import json
import sys
import time
from _thread import get_ident

import beamq

from . import swallowed
from .channel import MAIN_THREAD, cut, plain, safe_text
from .failures import message_of, name_of

# What is told of a call is for people: no argument is worth more characters than this.
LONGEST_ARGUMENT = 500
LONGEST_TEXT = 500
LONGEST_MESSAGE = 2_000
# A script that fails in a loop need not list every time.
MOST_ERRORS = 100
RECENT = 4


class Call:
    """A call of a command that runs."""

    def __init__(self, name, arguments, line):
        self.name = name
        self.arguments = {key: short(value) for key, value in arguments.items()}
        self.line = line
        self.began = time.monotonic()
        self.text = None


class Calls:
    """All calls of a job."""

    def __init__(self, channel, steering, progress):
        self._channel = channel
        self._steering = steering
        self._progress = progress
        self._running = []
        self._errors = []
        self._more_errors = 0
        # The last errors themselves, to be recognised; not all, because each keeps its frames alive.
        self._recent = []
        self._spies = {}

    # A call from a script.

    def run(self, name, implementation, arguments):
        """Call a command and record it. A wait in it that was skipped ends the command without an error."""
        if get_ident() != MAIN_THREAD:
            return self._recorded(Call(name, arguments, None), implementation, arguments)
        self._steering.point(("point", "now"))
        call = Call(name, arguments, self._steering.script_line(sys._getframe(1)))
        self._running.append(call)
        self._show()
        try:
            return self._recorded(call, implementation, arguments)
        finally:
            self._running.remove(call)
            self._show()

    def _recorded(self, call, implementation, arguments):
        spy = self._spy_on(implementation)
        self._tell(call)
        failure = None
        outcome = None
        try:
            result = implementation(**arguments)
            failure = spy.take() if spy is not None and result is None else None
            return result
        except beamq.WaitSkipped:
            return None
        except Exception as error:
            failure = error
            raise
        except BaseException as error:
            # The end of the job rather than an error of the command.
            outcome = name_of(error)
            raise
        finally:
            if failure is not None:
                outcome = describe(failure)
                self._note(call.name, call.arguments, call.line, outcome, failure)
            self._tell(call, over=True, error=outcome)

    def _tell(self, call, over=False, error=None):
        fields = {"name": call.name, "arguments": call.arguments, "line": call.line}
        if over:
            fields["duration_s"] = time.monotonic() - call.began
        if error is not None:
            fields["error"] = error
        self._channel.send("command", **fields)

    def _spy_on(self, implementation):
        """For a function whose decorator handles its errors, as instrument libraries have them: a spy that
        sees them. None for any other function."""
        if getattr(implementation, "__wrapped__", None) is None:
            return None
        try:
            if implementation not in self._spies:
                self._spies[implementation] = swallowed.spy_on(implementation)
            return self._spies[implementation]
        except TypeError:  # It cannot be looked up in a dictionary.
            return None

    # Errors that nobody raised.

    def report_error(self, exception, command, arguments):
        """An error that a library has handled by printing it."""
        running = self._running[-1] if self._running else None
        line = self._steering.script_line(sys._getframe(1)) if get_ident() == MAIN_THREAD else None
        if command is None:
            command = running.name if running else "unknown"
            arguments = arguments or (running.arguments if running else {})
        arguments = {key: short(value) for key, value in arguments.items()}
        message = describe(exception)
        self._note(safe_text(command), arguments, line, message, exception)
        self._channel.send(
            "command", name=safe_text(command), arguments=arguments, line=line, duration_s=0.0, error=message
        )

    def _note(self, command, arguments, line, message, error):
        if any(error is known for known in self._recent):
            return  # A command that is made of others: the inner one has it.
        self._recent = [error] + self._recent[: RECENT - 1]
        if len(self._errors) >= MOST_ERRORS:
            self._more_errors += 1
            return
        entry = {"command": command, "arguments": arguments, "message": message}
        if line is not None:
            entry["line"] = line
        self._errors.append((entry, id(error)))

    # What is shown, and what is reported at the end.

    def waiting(self, text):
        """The command that runs says what it waits for, and lets what was asked take effect."""
        if self._running and get_ident() == MAIN_THREAD:
            self._running[-1].text = None if text is None else cut(safe_text(text), LONGEST_TEXT)
            self._show()
        self._steering.poll(3)

    def _show(self):
        call = self._running[-1] if self._running else None
        self._progress.command = None if call is None else (call.name, call.text)

    def in_progress(self, error):
        """The command that failed with the error that ended the script, or None."""
        found = self._chain_of(error)
        for entry, identity in reversed(self._errors):
            if identity in found:
                return {"name": entry["command"], "arguments": entry["arguments"]}
        return None

    def errors(self, error):
        """The errors that the script went on after, when this one (or none) ended it."""
        found = self._chain_of(error)
        listed = [entry for entry, identity in self._errors if identity not in found]
        if self._more_errors:
            listed.append({"command": "…", "message": "%d more errors are not listed" % self._more_errors})
        return listed

    def _chain_of(self, error):
        """The identities of an error and of those that led to it, as far as commands raised them."""
        found, seen = set(), set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            if any(error is known for known in self._recent):
                found.add(id(error))
            error = error.__cause__ or error.__context__
        return found


def short(value):
    """An argument, cut to what people read."""
    value = plain(value)
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= LONGEST_ARGUMENT else cut(text, LONGEST_ARGUMENT)


def describe(error):
    """An error in one text: its type and its message."""
    if isinstance(error, BaseException):
        return cut("%s: %s" % (name_of(error), message_of(error)), LONGEST_MESSAGE)
    return cut(safe_text(error), LONGEST_MESSAGE)
