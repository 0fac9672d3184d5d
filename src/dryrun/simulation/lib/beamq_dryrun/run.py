"""Runs the script: its lines, its bounds, and how it ends."""

import builtins
import os
import sys

import beamq

from .channel import cut, number, safe_text
from .guard import Denied

MOST_FINDINGS = 100
MOST_LINES = 20_000
# How often a loop must come by a line to be called endless rather than long.
OFTEN = 1_000
# How often for a command to be in a loop, so that the loop is what never ends, and not the wait of the command.
A_LOOP = 10
# One of the numbers of `sys.monitoring` that belong to no kind of tool.
OUR_TOOL = 4


class StandardInput:
    """Standard input of a script: there is nobody to answer."""

    encoding = "utf-8"
    errors = "strict"
    closed = False

    def __init__(self, ask_line):
        self._ask_line = ask_line

    def readline(self, _limit=-1):
        return self._ask_line() + "\n"

    def read(self, _limit=-1):
        return ""

    def __iter__(self):
        return iter(())

    def fileno(self):
        return 0

    def isatty(self):
        return False

    def readable(self):
        return True

    def close(self):
        """Nothing to close."""


class Run:
    """One script from its source to the end."""

    def __init__(self, wish, channel, clock):
        self._channel = channel
        self._clock = clock
        self._source = wish["source"].lstrip("\ufeff")
        self._file = wish["file"]
        self._most_steps = wish["steps"]
        self._virtual_s = wish["virtual_s"]
        self._real_s = wish["real_s"]
        self._job = wish["job"]
        self.line = None
        self.at_least = False
        self._steps = 0
        self._seen = {}
        self._known_lines = set()
        self._found = set()
        self._bridge = None
        self._instrument = None
        self._done = False
        self._failure = None
        self.job_was_read = False

    def attach(self, bridge, instrument):
        self._bridge, self._instrument = bridge, instrument

    # Findings.

    def find(self, severity, code, message, hint=None, line=..., command=None, parameter=None, **more):
        """Tell of a finding, once."""
        if line is ...:
            line = self.script_line(sys._getframe(1)) or self.line
        key = (code, line, message)
        if key in self._found or len(self._found) >= MOST_FINDINGS:
            return
        self._found.add(key)
        fields = {"severity": severity, "code": code, "message": cut(message), "hint": hint, "line": line,
                  "command": command, "parameter": parameter}
        fields.update(more)
        self._channel.send("finding", **{key: value for key, value in fields.items() if value is not None})

    def denied(self, code, message, hint):
        """The guard has denied something."""
        self.at_least = True
        self.find("warning", code, message, hint)

    def script_line(self, frame):
        """The line of the innermost frame of the script."""
        while frame is not None:
            if frame.f_code.co_filename == self._file:
                return frame.f_lineno
            frame = frame.f_back
        return None

    # Bounds.

    def step(self):
        """Count a step."""
        self._steps += 1
        if self._steps > self._most_steps:
            self._too_far("after %d steps the script has not ended" % self._most_steps)

    def end_of_time(self):
        self._too_far("after %g h on the simulated clock the script has not ended" % (self._virtual_s / 3600))

    def out_of_real_time(self, *_):
        self._too_far("after %g s of the simulation the script has not ended" % self._real_s)

    def deadlock(self):
        self.at_least = True
        self.find(
            "error", "waits_forever", "the script waits here for something that never comes", line=self.line,
            hint="nothing else runs that could end the wait; give the wait a time-out",
        )
        self._finish(truncated=True)

    def _too_far(self, what):
        """The script is cut short here."""
        self.at_least = True
        line = self.script_line(sys._getframe(1)) or self.line
        command, waits_for, times = self._bridge.command, self._bridge.waits_for, self._seen.get(line, 0)
        if command is None and times < OFTEN:
            hint = "the dry run ends here; the script may well be right"
            self.find("error", "too_long", what, hint, line)
        elif waits_for is not None and times < A_LOOP:
            message = "%s: %s still waits (%s)" % (what, command, safe_text(waits_for))
            hint = "see whether the wait can ever be over: on the simulated instrument it is not"
            self.find("error", "endless", message, hint, line, command)
        else:
            hint = "look at the condition of the loop: on the simulated instrument it is never met"
            self.find("error", "endless", what + "; it seems to be endless", hint, line, command)
        self._finish(truncated=True)

    # Lines.

    def watch_lines(self, code):
        """Follow the lines of the script."""
        self._collect(code)
        monitoring = getattr(sys, "monitoring", None)
        if monitoring is None:
            self._trace()
            return
        tool, events = OUR_TOOL, monitoring.events
        monitoring.use_tool_id(tool, "beamq dry run")
        seen, limit = self._seen, self._most_steps

        def on_line(code, line):
            self.line = line
            seen[line] = seen.get(line, 0) + 1
            self._steps += 1
            if self._steps > limit:
                self.step()

        def on_jump(code, origin, target):
            # A loop in one line makes no events of lines.
            if target <= origin:
                self._steps += 1
                seen[self.line] = seen.get(self.line, 0) + 1
                if self._steps > limit:
                    self.step()

        monitoring.register_callback(tool, events.LINE, on_line)
        monitoring.register_callback(tool, events.JUMP, on_jump)
        open_ = [code]
        while open_:
            one = open_.pop()
            monitoring.set_local_events(tool, one, events.LINE | events.JUMP)
            open_.extend(constant for constant in one.co_consts if hasattr(constant, "co_code"))

    def _trace(self):
        """For Pythons before 3.12."""
        import threading

        file, seen, limit = self._file, self._seen, self._most_steps

        def local(frame, event, _):
            if event == "line":
                line = self.line = frame.f_lineno
                seen[line] = seen.get(line, 0) + 1
                self._steps += 1
                if self._steps > limit:
                    self.step()
            return local

        def on_call(frame, event, _):
            return local if frame.f_code.co_filename == file else None

        threading.settrace(on_call)
        sys.settrace(on_call)

    def _collect(self, code):
        """The lines that can be run."""
        open_ = [code]
        while open_:
            one = open_.pop()
            if hasattr(one, "co_lines"):
                self._known_lines.update(line for _, _, line in one.co_lines() if line)
            else:
                import dis

                self._known_lines.update(line for _, line in dis.findlinestarts(one))
            open_.extend(constant for constant in one.co_consts if hasattr(constant, "co_code"))

    # The script.

    def run(self, begin):
        """Run it to its end, calling `begin` before its first line. Does not return."""
        code = self._compile()
        if code is None:
            self._finish()
        main = self._prepare()
        begin()
        try:
            self.watch_lines(code)
            exec(code, main)
            self._bridge.leave_cell()
            self._bridge.leave_plain_step()
            self._wait_for_threads()
        except BaseException as error:
            self._failure = error
            self._explain(error)
        self._finish(truncated=self._denied(self._failure))

    def _compile(self):
        import warnings

        source = self._source
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                code = compile(source, self._file, "exec", dont_inherit=True)
        except SyntaxError as error:
            self._channel.send("syntax", message=str(error.msg), line=error.lineno, column=error.offset)
            return None
        except (ValueError, OverflowError, MemoryError, RecursionError) as error:
            self._channel.send("syntax", message=str(error) or type(error).__name__, line=None, column=None)
            return None
        for warning in caught[:50]:
            if issubclass(warning.category, (SyntaxWarning, DeprecationWarning)):
                self._channel.send("remark", message=str(warning.message), line=warning.lineno, column=None)
        if "%%" not in source:
            return code
        import ast

        from beamq_worker import cells as cells_of

        cells, _ = cells_of.find_cells(source)
        if not any(cell.estimate is not None for cell in cells):
            return code
        self._bridge.take_cells(cells)
        setattr(builtins, cells_of.CALL, self._bridge.enter_cell)
        return compile(cells_of.insert_cells(ast.parse(source, self._file), cells), self._file, "exec", dont_inherit=True)

    def _prepare(self):
        import linecache

        linecache.cache[self._file] = (len(self._source), None, self._source.splitlines(True), self._file)
        main = type(sys)("__main__")
        main.__file__ = self._file
        main.__builtins__ = builtins
        main.__loader__ = None
        sys.modules["__main__"] = main
        sys.argv = [self._file]
        builtins.input = self._bridge.ask_line
        sys.stdin = StandardInput(self._bridge.ask_line)
        beamq._server = self._bridge
        beamq.in_dry_run = True
        beamq.job = self._seen_job(
            id=self._job["id"], name=self._job["name"], owner=self._job["owner"],
            tags=tuple(self._job["tags"]), group=self._job["group"],
        )
        return main.__dict__

    def _seen_job(self, **facts):
        """What the script sees of its job, which notes that it was looked at."""
        run = self

        class Job(beamq.Job):
            __slots__ = ()

            def __getattribute__(self, name):
                run.job_was_read = True
                return super().__getattribute__(name)

            def __iter__(self):
                run.job_was_read = True
                return super().__iter__()

            def __getitem__(self, place):
                run.job_was_read = True
                return super().__getitem__(place)

        Job.__qualname__, Job.__module__, Job.__doc__ = "Job", "beamq", beamq.Job.__doc__
        job = Job(**facts)
        # The name of the file is made of the name of the job.
        self.job_was_read = "__file__" in self._source or "argv" in self._source
        return job

    def _wait_for_threads(self):
        """Python waits for the script's threads before it ends."""
        import threading

        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()

    # How it went wrong.

    def _explain(self, error):
        if isinstance(error, SystemExit):
            self._explain_exit(error)
            return
        line = self._line_of(error)
        if self._denied(error):
            self.find(
                "note", "ends_early", "the dry run ends here, because of what it denied", line=line,
                hint="what comes after this line has not been looked at",
            )
            return
        if isinstance(error, beamq.CommandArgumentError):
            self._explain_argument(error, line)
            return
        for known, command, at in self._bridge.errors:
            if known is error:
                self.find("error", "command_refused", "%s: %s" % (command, safe_text(error)), None, line or at, command)
                return
        self._explain_error(error, line)

    def _explain_argument(self, error, line):
        text, code = safe_text(error), "bad_value"
        spec = self._spec_of(error.command)
        if error.parameter is not None and error.parameter not in (spec.get("parameters") or {}):
            code = "unknown_parameter"
        elif " is missing" in text:
            code = "missing_parameter"
        elif isinstance(error, ValueError) and isinstance(error.value, (int, float)):
            devices = spec.get("devices") or []
            self._instrument.hit(devices if len(devices) == 1 else [])
        allowed = "allowed: " + error.allowed if error.allowed else None
        # The exception's own text has all of it in one line.
        message = text.partition("; allowed: ")[0]
        if error.hint and message.endswith("; " + error.hint):
            message = message[: -len(error.hint) - 2]
        hint = "; ".join(part for part in (error.hint, allowed) if part)
        self.find("error", code, message, hint or None, line, error.command, error.parameter)

    def _explain_exit(self, error):
        code = error.code
        if code is None or (isinstance(code, int) and code & 0xFF == 0):
            return
        said = safe_text(code) if not isinstance(code, int) else "exit code %d" % (code & 0xFF)
        self.find("error", "script_exit", "the script ends itself as failed: %s" % said, line=self._line_of(error))

    def _explain_error(self, error, line):
        if isinstance(error, MemoryError):
            self.find("error", "too_much_memory", "the script needs more memory than a dry run has", line=line,
                      hint="the dry run ends here; the script may well be right")
            return
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__", "beamq") else (
            "%s.%s" % (kind.__module__, kind.__qualname__))
        hint = None
        try:
            from beamq_worker import hints

            hint = hints.hint_for(error, self._source)
        except Exception:  # A hint is a courtesy.
            pass
        text = safe_text(error)
        self.find("error", "script_error", "%s: %s" % (name, text) if text else name, hint, line)

    @staticmethod
    def _denied(error):
        """Whether it is there because something was denied."""
        for _ in range(20):
            if error is None or isinstance(error, Denied):
                return error is not None
            error = error.__cause__ or error.__context__
        return False

    @staticmethod
    def _spec_of(command):
        from beamq import commands

        try:
            return commands.describe(command)
        except Exception:  # The script can have loaded another catalogue.
            return {}

    def _line_of(self, error):
        lines, trace, head = [], error.__traceback__, None
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._file:
                lines.append(trace.tb_lineno)
                head = trace.tb_frame.f_code.co_firstlineno
            trace = trace.tb_next
        # What follows the lines is called at the head of a function, and can itself be the one call too many.
        if isinstance(error, RecursionError) and lines[1:] and lines[-1] == head:
            lines.pop()
        return lines[-1] if lines else None

    # The end.

    def _finish(self, truncated=False):
        """Tell how it ended, and end. From here on nothing of the script runs."""
        if self._done:
            os._exit(0)
        self._done = True
        sys.settrace(None)
        try:
            self._caught_errors()
            self._bridge.flush()
            self._instrument.look()
            unreached = sorted(self._known_lines - set(self._seen)) if self._seen else []
            self._channel.send(
                "end", t_s=number(self._clock.now / 1e9), steps=self._steps, at_least=self.at_least,
                truncated=bool(truncated or self._bridge.truncated),
                unreached=unreached[:MOST_LINES], devices=self._instrument.devices(),
                amounts=self._instrument.amounts(), state=self._state(),
                used_job=self.job_was_read, used_date=self._clock.date_was_read,
            )
        finally:
            os._exit(0)

    def _caught_errors(self):
        """Refusals that the script went on after."""
        for error, command, line in self._bridge.errors:
            if error is not self._failure:
                text = safe_text(error)
                # A refused argument names its command already.
                said = text if isinstance(error, beamq.CommandArgumentError) else "%s: %s" % (command, text)
                self.find("warning", "command_error", said, None, line, command)

    def _state(self):
        try:
            return self._instrument.saved()
        except Exception as error:
            self.find("warning", "bad_hook", "the state of the simulated instrument cannot be kept: %s" % safe_text(error),
                      line=None)
            return None
