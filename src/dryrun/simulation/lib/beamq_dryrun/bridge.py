"""What the `beamq` module and the catalogue's functions call in a dry run."""

import sys

import beamq

from .channel import cut, plain, safe_text

# No server is told more calls than this; times and devices are followed beyond it.
MOST_ENTRIES = 10_000
SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


class Bridge:
    """The server's side of the `beamq` module, on virtual time."""

    def __init__(self, run, clock, channel, instrument, guard):
        self._run = run
        self._clock = clock
        self._channel = channel
        self._instrument = instrument
        self._guard = guard
        self._cells = []
        self._cell_ends = None
        self.step_ends = None
        self._sent = 0
        # The wait outside of commands that goes on, as [what, line, t0, seconds, times].
        self._wait = None
        # The command that runs, and the errors of commands that scripts have seen.
        self.command = None
        # What it says that it waits for.
        self.waits_for = None
        self.errors = []
        self.truncated = False

    # Time.

    def advanced(self, before, after, what):
        """Time has passed."""
        if self.command is not None:
            self._instrument.look()
            return
        line, seconds = self._run.line, (after - before) / 1e9
        wait = self._wait
        if wait is not None and wait[0] == what and wait[1] == line and abs(wait[2] + wait[3] - before / 1e9) < 1e-6:
            wait[3] += seconds
            wait[4] += 1
            return
        self.flush()
        self._wait = [what, line, before / 1e9, seconds, 1]

    def flush(self):
        """Tell of the wait that was."""
        if self._wait is not None:
            what, line, t0, seconds, times = self._wait
            self._wait = None
            self._entry("wait", what=what, line=line, t0_s=t0, dt_s=seconds, times=times)

    def _entry(self, say, **fields):
        self._sent += 1
        if self._sent > MOST_ENTRIES:
            self.truncated = True
        else:
            self._channel.send(say, **fields)

    # Commands.

    def run_command(self, name, implementation, arguments):
        """Called by the functions of the catalogue; `implementation` is what `simulated` made."""
        if self.command is not None:
            return implementation(_call={}, **arguments)
        self._run.step()
        self.flush()
        line = self._run.script_line(sys._getframe(1))
        self._instrument.look()
        t0 = self._clock.now / 1e9
        self.command, self.waits_for = name, None
        call = {"error": None, "known": True, "source": "simulated"}
        try:
            return implementation(_call=call, **arguments)
        except beamq.WaitSkipped:
            return None
        except Exception as error:
            call["error"] = cut(safe_text(error) or type(error).__name__)
            self.errors.append((error, name, line))
            device = getattr(error, "device", None)
            if device is not None:
                self._instrument.hit([device])
            raise
        finally:
            self._instrument.look()
            self.command = self.waits_for = None
            fields = {key: value for key, value in call.items() if value is not None}
            shown = {key: plain(value) for key, value in arguments.items()}
            self._entry(
                "call", command=name, arguments=shown, line=line, t0_s=t0,
                dt_s=self._clock.now / 1e9 - t0, **fields
            )

    def refuse_command(self, error):
        """A call of a command was refused because of its arguments; the script may go on after that."""
        if self.command is None:
            self.errors.append((error, error.command, self._run.script_line(sys._getframe(1))))

    def simulated(self, name, spec):
        """What stands in for a command's implementation."""
        hook_name, clock, guard, instrument = spec.get("simulate"), self._clock, self._guard, self._instrument

        def by_hook(_call=None, **arguments):
            try:
                hook = instrument.hook(hook_name)
            except Exception as error:
                self._run.find(
                    "error", "bad_hook", "the simulation of %s, %s, cannot be used: %s: %s"
                    % (name, hook_name, type(error).__name__, safe_text(error)), command=name,
                    hint="this is about the catalogue's key `simulate` and not about the script",
                )
                return by_estimate(_call, **arguments)
            guard.inside_hooks += 1
            try:
                return hook(**arguments)
            finally:
                guard.inside_hooks -= 1

        def by_estimate(_call=None, **arguments):
            _call = {} if _call is None else _call
            answer = self._ask_estimate(name, spec, arguments)
            seconds = answer.get("seconds")
            _call["source"] = answer.get("source", "unknown")
            _call["known"] = seconds is not None
            if seconds is not None:
                _call["low_s"], _call["high_s"] = answer.get("low_s"), answer.get("high_s")
                clock.sleep(seconds, name)
            instrument.apply(spec, arguments, answer.get("effects"))
            return None

        return by_hook if hook_name else by_estimate

    def _ask_estimate(self, name, spec, arguments):
        given = {key: one["default"] for key, one in (spec.get("parameters") or {}).items() if "default" in one}
        given.update(arguments)
        state = {key: plain(value) for key, value in self._instrument.state().items()}
        given = {key: plain(value, 10_000) for key, value in given.items()}
        self._channel.send("estimate", command=name, arguments=given, state=state)
        return self._channel.hear() or {}

    # What scripts call through the module.

    def progress(self, done, total, text):
        """Shown while a job runs, and not here."""

    def track(self, iterable, total, text):
        return iter(iterable)

    def step(self, name):
        return name

    def leave_step(self, before, _error):
        """Steps are not followed here; `Step` below follows their estimates."""

    def enter_cell(self, number):
        """Called in front of the first statement of a cell."""
        self.leave_cell()
        cell = self._cells[number]
        if cell.estimate is not None:
            self._cell_ends = self.promised(cell.title, cell.estimate, cell.line)

    def leave_cell(self):
        """The cell before has ended."""
        if self._cell_ends is not None:
            ends, self._cell_ends = self._cell_ends, None
            ends()

    def leave_plain_step(self):
        """The step that was entered by a plain call has ended."""
        if self.step_ends is not None:
            ends, self.step_ends = self.step_ends, None
            ends()

    def take_cells(self, cells):
        self._cells = cells

    def promised(self, name, seconds, line):
        """A part of the script begins whose author says how long it takes. Returns what is to be called at
        its end. What is simulated in it counts; where nothing is, the author's word does."""
        began = self._clock.now

        def ends():
            if self._clock.now > began or self.command is not None or not seconds > 0:
                return
            self.flush()
            t0 = self._clock.now / 1e9
            self.command = name
            try:
                self._clock.sleep(seconds, name)
            finally:
                self.command = None
            self._entry("wait", what="step", name=cut(name, 200), line=line, t0_s=t0, dt_s=seconds, times=1,
                        source="author")

        return ends

    def waiting(self, text):
        """A command that waits says so."""
        self.waits_for = text

    def report_error(self, exception, command, arguments):
        self._run.find(
            "warning", "command_error", "an error that the script goes on after: %s" % safe_text(exception),
            command=None if command is None else safe_text(command),
        )

    def pause_point(self, text):
        """Nobody pauses a dry run."""

    def note(self, text):
        """Belongs into the output of a job."""

    def checkpoint(self, name, values):
        """Belongs into the record of a job."""

    def sleep(self, seconds):
        self._run.step()
        self._clock.sleep(float(seconds), "beamq.sleep")
        return True

    def ask(self, text, default, choices, timeout):
        """The answer is the default; without one, the first choice or nothing, and a finding."""
        if default is not ...:
            return default
        choices = list(choices) if choices is not None else []
        answer = choices[0] if choices else ""
        self._run.find(
            "warning", "question_without_default",
            "the script asks %r and waits until somebody answers" % cut(safe_text(text), 200),
            hint="give a default, so that the job can go on when nobody is there; the dry run goes on with %r" % (answer,),
        )
        self._run.at_least = True
        return answer

    def ask_line(self, prompt=""):
        """What `input` is here."""
        self._run.step()
        return safe_text(self.ask(prompt or "a line of input", ..., None, None))


def seconds_of(estimate):
    """The seconds of a step's estimate: a number, or a text such as "10 min"."""
    if isinstance(estimate, (int, float)):
        return float(estimate)
    number, _, unit = safe_text(estimate).strip().partition(" ")
    try:
        return float(number) * SECONDS[unit.strip() or "s"]
    except (ValueError, KeyError):
        return None


def install_steps(bridge, run):
    """Follow the estimates of `beamq.step`."""

    class step(beamq.step):
        def __init__(self, name, estimate=None):
            bridge.leave_plain_step()
            super().__init__(name, estimate)
            seconds = None if estimate is None else seconds_of(estimate)
            line = run.script_line(sys._getframe(1))
            self._ends = None if seconds is None else bridge.promised(safe_text(name), seconds, line)
            bridge.step_ends = self._ends

        def __enter__(self):
            bridge.step_ends = None
            return self

        def __exit__(self, *problem):
            super().__exit__(*problem)
            if self._ends is not None:
                self._ends()

    step.__qualname__, step.__module__, step.__doc__ = "step", "beamq", beamq.step.__doc__
    beamq.step = step
