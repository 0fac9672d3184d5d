"""Pause, resume, skip and abort, as seen from the main thread of the script.

While the script runs freely nothing here costs anything: no tracing, no hooks on its lines. When the
server asks for something it sends a message and the signal SIGURG (whose default action is to do
nothing, so a script that resets it is not harmed). The handler runs in the main thread between two
instructions, takes the message and acts: it raises, or switches tracing on for the script's own frames
until the next line.

Only plain locks and single assignments are used to pass things between the threads and the handler: the
handler can interrupt the main thread anywhere, so it must never wait for something that the interrupted
code holds.
"""

import os
import signal
import sys
import threading
import time
from _thread import allocate_lock, get_ident
from opcode import opmap

import beamq

from .channel import MAIN_THREAD
from .questions import Questions

SIGNAL = signal.SIGURG
JUMPS_BACK = frozenset(
    opmap[name] for name in ("JUMP_BACKWARD", "JUMP_ABSOLUTE") if name in opmap
)
# From 3.11 on an exception finds its handler by the place of an instruction. What a signal handler raises at
# a jump back to the head of a loop is looked up at a place that can lie outside the `try` around the loop:
# 3.11 and 3.12 take the instruction in front of the loop, which is the `try` itself when the loop comes
# first in it, and 3.13 covers some of these jumps by no handler at all. `finally` and `except` would be
# passed over. 3.12 reports such a jump as a new line, with the same fault; only what is raised at the next
# instruction finds its handler everywhere.
JUMPS_MISS_HANDLERS = sys.version_info >= (3, 11)
original_sleep = time.sleep

END_OF_THREADS = threading._shutdown.__code__

# Sleeps shorter than this are left alone: nobody can press pause in them.
SHORTEST_PAUSABLE_SLEEP = 0.02
# How long after a poll of a library's wait the script still counts as waiting in it.
POLL_COUNTS_FOR = 1.0
# No wait trusts a single wake-up for longer than this, in seconds.
LONGEST_SLICE = 2.0

OUR_FOLDER = os.path.dirname(__file__) + os.sep
# How many calls deep the tracing of a line goes at most.
DEEPEST_IN_TRACER = 8

IDLE, RUNNING, OVER, FORKED = "idle", "running", "over", "forked"


def jumps_back(frame):
    """Whether the frame is at the jump back to the head of a loop."""
    if frame is None or not 0 <= frame.f_lasti < len(frame.f_code.co_code):
        return False
    return frame.f_code.co_code[frame.f_lasti] in JUMPS_BACK


def outside_worker(frame):
    """The frame where what is raised here comes out: a signal can interrupt the handler of another one."""
    while frame is not None and frame.f_code.co_filename.startswith(OUR_FOLDER):
        frame = frame.f_back
    return frame


def spins(frame):
    """Whether the frame may be in a loop of a single instruction, as `while True: pass` in one line is.

    CPython 3.10 and 3.11 report no new line there, however often it goes round; only the tracing of
    instructions stops it.
    """
    return sys.version_info[:2] in ((3, 10), (3, 11)) and jumps_back(frame)


class Wait:
    """A wait of the main thread that can be shown, paused in and skipped."""

    def __init__(self, name, seconds=None, skippable=True):
        self.name = name
        self.seconds = seconds
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self.skippable = skippable
        self.skip = False


def waits_for_threads(frame):
    """Whether the main thread is at its end and waits for the threads that the script has started."""
    while frame is not None:
        if frame.f_code is END_OF_THREADS:
            return True
        frame = frame.f_back
    return False


class Steering:
    """What the server asked for, and the carrying out of it."""

    def __init__(self, channel):
        self.channel = channel
        self.phase = IDLE
        self.script_file = None
        self.black_box = False
        self.job = None
        self.wait = None
        self.abort = False
        # Whether the server has seen what the script leaves behind.
        self.seen = False
        self._abort_raised = False
        self._pause = None
        self._paused = False
        self._go_on = False
        self._polling = False
        self._polled_by = "wait"
        self._last_poll = float("-inf")
        self._skip_poll_until = None
        self._tracing = False
        self._traced_frames = []
        self._script_tracer = None
        self.questions = Questions(self)
        self._wakeup = allocate_lock()
        self._wakeup.acquire()

    # What the server says; in whichever thread took the message.

    def handle(self, message):
        """Note what the server asks. The main thread acts on it in `act`."""
        do = message["do"]
        if do == "run":
            self.job = message
        elif do == "pause":
            if not self._paused or self._go_on:
                self._pause = message["level"]
        elif do in ("cancel_pause", "resume"):
            if self._paused:
                # A pause that was cancelled too late stays: the server learns of it and can resume.
                self._go_on = self._go_on or do == "resume"
            elif self._pause is not None:
                self._pause = None
                self.channel.send("resumed")
        elif do == "skip":
            self._ask_to_skip()
        elif do == "abort":
            self.abort = True
        elif do == "answer":
            self.questions.take_answer(message)
        elif do == "end":
            self.seen = True
        self._wake()

    def _ask_to_skip(self):
        wait = self.wait
        if wait is not None and wait.skippable:
            wait.skip = True
        elif self._polling or time.monotonic() - self._last_poll < POLL_COUNTS_FOR:
            self._skip_poll_until = time.monotonic() + POLL_COUNTS_FOR
        else:
            self.channel.send("skipped", what=None)

    def tick(self):
        """Called every now and then by the watching thread."""
        until = self._skip_poll_until
        if until is not None and not self._paused and time.monotonic() > until:
            self._skip_poll_until = None
            self.channel.send("skipped", what=None)
        if self.abort and (self.phase == RUNNING or waits_for_threads(sys._current_frames().get(MAIN_THREAD))):
            # An `except:` of the script may have swallowed the abort; see `_abort_is_due`.
            self.poke()

    def poke(self):
        """Have the main thread act, from another thread."""
        # To the process, not to the thread: the kernel prefers the main thread, and takes another one
        # when the main thread blocks signals. The handler runs in the main thread either way.
        if signal.getsignal(SIGNAL) == self.on_signal:
            os.kill(os.getpid(), SIGNAL)

    def _wake(self):
        try:
            self._wakeup.release()
        except RuntimeError:
            pass  # It is awake, or about to look anyway.

    # What the main thread does about it.

    def on_signal(self, _signal, frame):
        """The handler of the signal; runs in the main thread."""
        if self.phase == IDLE:
            return  # The main thread waits for messages, and must take them itself.
        deferral = self.channel.deferral
        if deferral.depth:
            deferral.pending = True
            return
        self._take_and_act(frame)

    def _take_and_act(self, frame):
        """Take what the server says and act on it. A signal that comes meanwhile says that there may be
        more."""
        deferral = self.channel.deferral
        deferral.pending = True
        while deferral.pending:
            deferral.pending = False
            deferral.depth = 1
            try:
                self.channel.pump(self.handle)
            finally:
                deferral.depth = 0
        self.act(frame)

    def act(self, frame):
        """Do in the main thread what was asked. `frame` is where the script is."""
        if self.phase == OVER and self.abort and waits_for_threads(frame):
            # The script is over but for threads that go on; exit functions are still to run.
            self._raise_abort()
        if self.phase != RUNNING:
            return
        if self.abort and not self._in_tracer(frame) and self._abort_is_due():
            surface = outside_worker(frame)
            if JUMPS_MISS_HANDLERS and jumps_back(surface):
                self._raise_at_next_instruction(surface)
            else:
                self._raise_abort()
        self._wake()
        if self._paused or self.black_box:
            return
        if self._pause in ("line", "now"):
            self._trace_on(frame)
        elif self._tracing and not self.abort:
            self._trace_off()

    def _abort_is_due(self):
        """Whether to raise: the first time, and again when the script has swallowed it. A script that
        is cleaning up (`finally`, `except`, `__exit__`) because of the abort is left to it."""
        if not self._abort_raised:
            return True
        error, seen = sys.exc_info()[1], set()
        while error is not None and id(error) not in seen:
            if isinstance(error, beamq.Abort):
                return False
            seen.add(id(error))
            error = error.__context__
        return True

    def _raise_abort(self):
        self._abort_raised = True
        raise beamq.Abort("the job was aborted")

    def _raise_at_next_instruction(self, frame):
        """Have the tracing of this frame raise the abort, wherever its code is from."""
        self._trace_on(frame)
        frame.f_trace = self._trace_line
        frame.f_trace_opcodes = True
        self._traced_frames.append(frame)

    def check_abort(self):
        if self.abort and self._abort_is_due():
            self._raise_abort()

    # Pausing.

    def _trace_on(self, frame):
        if not self._tracing:
            self._script_tracer = sys.gettrace()
            self._tracing = True
        if spins(frame) and frame.f_code.co_filename == self.script_file:
            frame.f_trace_opcodes = True
        while frame is not None:
            if frame.f_code.co_filename == self.script_file:
                frame.f_trace = self._trace_line
                self._traced_frames.append(frame)
            frame = frame.f_back
        sys.settrace(self._trace_call)

    def _trace_off(self):
        if self._tracing:
            self._tracing = False
            sys.settrace(self._script_tracer)
            for frame in self._traced_frames:
                frame.f_trace = None
                frame.f_trace_opcodes = False
            self._traced_frames = []

    def _trace_call(self, frame, _event, _argument):
        return self._trace_line if frame.f_code.co_filename == self.script_file else None

    def _trace_line(self, frame, event, _argument):
        if event in ("line", "opcode"):
            if self._pause in ("line", "now") and not self.abort:
                self._pause_here(frame.f_lineno)
            if self.abort and self._abort_is_due():
                if event == "line" and JUMPS_MISS_HANDLERS:
                    self._raise_at_next_instruction(frame)
                else:
                    self._trace_off()
                    self._raise_abort()
        return self._trace_line if self._tracing else None

    def _in_tracer(self, frame):
        """Whether the main thread is in the tracing itself, which raises at the right place."""
        for _ in range(DEEPEST_IN_TRACER):
            if frame is None:
                return False
            if frame.f_code in (Steering._trace_line.__code__, Steering._trace_call.__code__):
                return True
            frame = frame.f_back
        return False

    def _pause_here(self, line):
        """Hold the main thread until the server says how to go on. Returns how long that took. An abort
        ends it by an exception, unless the tracing of a frame sees to that."""
        began = time.monotonic()
        self._go_on = False
        self._paused = True
        self._pause = None
        try:
            self._trace_off()
            self.channel.send("paused", line=line)
            while not self._go_on:
                if self.abort and self._in_tracer(sys._getframe()):
                    break
                self.check_abort()
                self._wakeup.acquire(True, LONGEST_SLICE)
        finally:
            self._paused = False
        # The next pause may have been asked for together with the resume.
        self.act(sys._getframe(1))
        return time.monotonic() - began

    def script_line(self, frame):
        """The line of the innermost frame of the script, from this frame outwards."""
        while frame is not None:
            if frame.f_code.co_filename == self.script_file:
                return frame.f_lineno
            frame = frame.f_back
        return None

    def steers_here(self):
        """Whether the calling thread is the script's main thread and can be paused."""
        return self.phase == RUNNING and not self.black_box and get_ident() == MAIN_THREAD

    # Places where the script can be stopped.

    def point(self, levels=("line", "point", "now")):
        """An explicit pause point."""
        if self.steers_here():
            self.check_abort()
            if self._pause in levels:
                self._pause_here(self.script_line(sys._getframe(1)))

    def poll(self, level):
        """A poll of a library's wait: acts on what was asked at this level (1 between lines, 2 between
        steps, 3 inside a wait) or above."""
        if not self.steers_here():
            return
        self._polling = True
        self._polled_by = self._polling_function()
        try:
            self.point({1: ("line", "point", "now"), 2: ("point", "now")}.get(level, ("now",)))
        finally:
            self._last_poll = time.monotonic()
            self._polling = False
        if self._skip_poll_until is not None:
            self._skip_poll_until = None
            self.channel.send("skipped", what=self._polled_by)
            raise beamq.WaitSkipped("%s was skipped" % self._polled_by)

    def shown_wait(self):
        """The wait to show: that of a library which polls, rather than the short sleeps it consists of."""
        if time.monotonic() - self._last_poll < POLL_COUNTS_FOR:
            return Wait(self._polled_by)
        return self.wait

    def _polling_function(self):
        """The name of the function that the script called and that waits."""
        frame, name = sys._getframe(3), "wait"
        while frame is not None and frame.f_code.co_filename != self.script_file:
            name = frame.f_code.co_name
            frame = frame.f_back
        return name

    def sleep(self, seconds, name="beamq.sleep", skippable=True):
        """A wait of known length that can be paused, skipped and aborted. Time spent paused does not
        count. Returns False when it was skipped."""
        wait, outer = self.begin_wait("%s(%g)" % (name, seconds), skippable, seconds)
        try:
            while True:
                self.check_abort()
                wait.deadline += self.pause_in_wait()
                if wait.skip:
                    self.tell_skipped(wait)
                    return False
                left = wait.deadline - time.monotonic()
                if left <= 0:
                    return True
                self.rest(left)
        finally:
            self.end_wait(wait, outer)

    def begin_wait(self, name, skippable, seconds=None):
        """A wait of the main thread begins. Returns it, and the one around it for `end_wait`."""
        wait = Wait(name, seconds, skippable)
        outer, self.wait = self.wait, wait
        return wait, outer

    def pause_in_wait(self):
        """Within a wait: hold if a pause `now` was asked for. Returns how long that took."""
        if self._pause != "now":
            return 0.0
        return self._pause_here(self.script_line(sys._getframe(1)))

    def rest(self, seconds):
        """Within a wait: do nothing until something is asked, at most this long."""
        self._wakeup.acquire(True, min(seconds, LONGEST_SLICE))

    def tell_skipped(self, wait):
        """A wait ends because it was skipped."""
        wait.skip = False
        self.channel.send("skipped", what=wait.name)

    def end_wait(self, wait, outer):
        """A wait is over; the one around it, if any, is what the script is in."""
        self.wait = outer
        if wait.skip:  # It ended by itself just as the skip came.
            self.channel.send("skipped", what=None)

    def time_sleep(self, seconds):
        """What `time.sleep` is replaced by: the same, but a pause `now`, a skip and an abort act in it."""
        if not self.steers_here():
            return original_sleep(seconds)
        # A text such as '5' is refused by Python, and so it is here.
        if not isinstance(seconds, float) and not hasattr(type(seconds), "__index__"):
            return original_sleep(seconds)
        try:
            length = float(seconds)
        except (TypeError, ValueError, OverflowError):
            return original_sleep(seconds)
        if not SHORTEST_PAUSABLE_SLEEP <= length < 1e9:
            return original_sleep(seconds)
        caller = sys._getframe(1)
        while caller is not None and caller.f_globals.get("__name__", "").startswith("beamq_worker"):
            caller = caller.f_back
        # Skipping one of the many short sleeps of a library's polling loop would skip nothing.
        by_script = caller is not None and caller.f_code.co_filename == self.script_file
        if by_script:
            # The next wait of the script is where a pause at a point acts.
            self.point(("point", "now"))
        self.sleep(length, "time.sleep", skippable=by_script)
        return None

    # The life of the script.

    def begin(self, script_file, black_box):
        """The script is about to run."""
        self.script_file = script_file
        self.black_box = black_box
        self.phase = RUNNING
        self.channel.deferral.act = lambda depth: self._take_and_act(sys._getframe(depth + 1))
        # What was asked while the script was compiled.
        self.on_signal(SIGNAL, sys._getframe())

    def end(self):
        """The script has ended; what still runs are its threads and exit functions. An abort that was
        asked before is not lost, even when it only ended a call into C and nothing came after that."""
        with self.channel.deferral:
            self.channel.pump(self.handle, wait=True)
            self.phase = OVER
            self._trace_off()
        if self.abort and not self._abort_raised:
            self._raise_abort()

    def forget(self):
        """In a forked child: the server steers the parent alone."""
        self.phase = FORKED
        signal.signal(SIGNAL, signal.SIG_DFL)
