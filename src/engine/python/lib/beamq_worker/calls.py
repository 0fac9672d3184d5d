"""The calls of catalogue commands: which one runs, how each ended, and which errors the script went on
after. The server is told of every call when it begins and when it ends."""

import json
import sys
import time
from _thread import get_ident

import beamq

from .channel import MAIN_THREAD, cut, plain, safe_text

# What is told of a call is for people: no argument is worth more characters than this.
LONGEST_ARGUMENT = 500
LONGEST_TEXT = 500
LONGEST_MESSAGE = 2_000
# A script that fails in a loop need not list every time.
MOST_ERRORS = 100
RECENT = 4
# The characters that all of them may take together: they travel in one message.
ROOM = 200_000


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
        # What ended the script from outside (an abort, an exit), and the call that it ended.
        self._broken = None
        # The last call that did not begin, because of its arguments.
        self._refused = None
        self._room = ROOM

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
            if self._broken is None or self._broken[0] is not error:
                self._broken = error, call
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
        from . import swallowed

        try:
            if implementation not in self._spies:
                self._spies[implementation] = swallowed.spy_on(implementation)
            return self._spies[implementation]
        except TypeError:  # It cannot be looked up in a dictionary.
            return None

    def refused(self, error):
        """A call that did not begin, because of its arguments. Within another command it is that one's
        business: the error is listed if it comes out of it."""
        on_main = get_ident() == MAIN_THREAD
        if on_main and self._running:
            return
        line = self._steering.script_line(sys._getframe(1)) if on_main else None
        arguments = {} if error.parameter is None else {error.parameter: short(error.value)}
        self._refused = error
        self._note(error.command, arguments, line, describe(error), error)

    # Errors that nobody raised.

    def report_error(self, exception, command, arguments):
        """An error that a library has handled by printing it."""
        running = self._running[-1] if self._running else None
        line = self._line_of(exception)
        if command is None:
            command = running.name if running else "unknown"
            arguments = arguments or (running.arguments if running else {})
        arguments = {key: short(value) for key, value in arguments.items()}
        message = describe(exception)
        self._note(safe_text(command), arguments, line, message, exception)
        self._channel.send(
            "command", name=safe_text(command), arguments=arguments, line=line, duration_s=0.0, error=message
        )

    def _line_of(self, exception):
        """The line of the script that an error comes from, or that runs while it is reported."""
        from .failures import script_line

        line = script_line(getattr(exception, "__traceback__", None), self._steering.script_file)
        if line is None and get_ident() == MAIN_THREAD:
            line = self._steering.script_line(sys._getframe(1))
        return line

    def _note(self, command, arguments, line, message, error):
        if isinstance(error, BaseException) and any(error is known for known, _ in self._recent):
            return  # A command that is made of others: the inner one has it.
        entry = {"command": command, "arguments": arguments, "message": message}
        if line is not None:
            entry["line"] = line
        self._recent = [(error, entry)] + self._recent[: RECENT - 1]
        size = len(json.dumps(entry))
        if len(self._errors) >= MOST_ERRORS or size > self._room:
            self._more_errors += 1
            return
        self._room -= size
        self._errors.append(entry)

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
        if self._broken is not None and self._broken[0] is error:
            call = self._broken[1]
            return {"name": call.name, "arguments": call.arguments}
        if error is not None and error is self._refused:
            return None  # It had not begun.
        led_to_it = self._led_to(error)
        return {"name": led_to_it[0]["command"], "arguments": led_to_it[0]["arguments"]} if led_to_it else None

    def errors(self, error):
        """The errors that the script went on after, when this one (or none) ended it."""
        led_to_it = self._led_to(error)
        listed = [entry for entry in self._errors if not any(entry is known for known in led_to_it)]
        if self._more_errors:
            listed.append({"command": "…", "message": "%d more errors are not listed" % self._more_errors})
        return listed

    def _led_to(self, error):
        """The entries of an error and of those that led to it, the last first."""
        found, seen = [], set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            found += [entry for known, entry in self._recent if known is error]
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
        from .failures import message_of, name_of

        return cut("%s: %s" % (name_of(error), message_of(error)), LONGEST_MESSAGE)
    return cut(safe_text(error), LONGEST_MESSAGE)
