"""Virtual time, and who runs in it.

Only one thread of the script runs at a time: it has the baton, and hands it on when it waits. When nobody
can run, the clock jumps to the next moment at which somebody can. So a script with threads does the same
in every simulation, and a wait of hours costs nothing.

Locks are real ones here; what scripts see of them is replaced in `waits`.
"""

from _thread import allocate_lock
from collections import deque

# What `time.monotonic` shows at the start: any number would do.
MONOTONIC_AT_START = 1_000 * 10**9
# A script that reads the clock so often without waiting waits for it in a loop of its own …
BUSY_AFTER = 1_000
# … and from then on every look takes this many nanoseconds.
BUSY_STEP = 10**6


class Task:
    """A thread of the script."""

    __slots__ = ("check", "gate", "wake_at", "woken")

    def __init__(self):
        self.gate = allocate_lock()
        self.gate.acquire()
        self.wake_at = None
        self.check = None
        self.woken = False


class Clock:
    """The virtual time, in nanoseconds since the script began, and the threads that wait in it."""

    def __init__(self):
        self.now = 0
        self.begins_at = self.longest = 0
        # Told (before, after, what) when time has passed, and when it may not pass any further.
        self.on_advance = lambda before, after, what: None
        self.on_end_of_time = lambda: None
        # Told when nobody can ever run again.
        self.on_deadlock = lambda: None
        self.current = Task()
        self._ready = deque()
        # Tasks that wait, in the order in which they began to.
        self._waiting = {}
        self._looks = 0
        # Whether somebody wanted to know what day or what time of day it is.
        self.date_was_read = False

    def begin(self, begins_at_ns, longest_ns):
        """The script begins now; until here nobody has looked who counts."""
        self.begins_at, self.longest = begins_at_ns, longest_ns
        self._looks = 0
        self.date_was_read = False

    # Reading the clock.

    def look(self):
        """The time as the script reads it."""
        self._looks += 1
        if self._looks > BUSY_AFTER:
            looks = self._looks
            self.advance(self.now + BUSY_STEP, "busy waiting")
            self._looks = looks
        return self.now

    def monotonic_ns(self):
        return MONOTONIC_AT_START + self.look()

    def time_ns(self):
        self.date_was_read = True
        return self.begins_at + self.look()

    def monotonic(self):
        return (MONOTONIC_AT_START + self.look()) / 1e9

    def time(self):
        self.date_was_read = True
        return (self.begins_at + self.look()) / 1e9

    # Letting time pass.

    def advance(self, until, what):
        """Jump to a time."""
        if until <= self.now:
            return
        before, self.now = self.now, min(until, self.longest)
        self._looks = 0
        self.on_advance(before, self.now, what)
        if until > self.longest:
            self.on_end_of_time()

    def sleep(self, seconds, what):
        """Wait for some time, while other threads go on."""
        self.wait(self.after(seconds), what)

    def after(self, seconds):
        """The time that is so many seconds from now; at least the next moment, unless it is now."""
        if seconds <= 0:
            return self.now
        # What is longer than all of time need not be exact, nor finite.
        return self.now + max(1, int(min(seconds * 1e9, 2.0 * self.longest + 1)))

    def wait(self, wake_at, what, check=None):
        """Wait until somebody wakes this thread, until `check()` is true, or until a time. Returns whether
        it was woken before that time; None as a time is never."""
        task = self.current
        task.woken, task.wake_at, task.check = False, wake_at, check
        self._waiting[task] = what
        chosen = self._choose()
        if chosen is not task:
            self.current = chosen
            chosen.gate.release()
            task.gate.acquire()
        return task.woken

    def wake(self, task):
        """Let a thread that waits go on."""
        if self._waiting.pop(task, None) is not None:
            task.woken = True
            self._ready.append(task)

    def _choose(self):
        """The thread that runs next."""
        while not self._ready:
            if self._wake_checked():
                break
            timed = [task for task in self._waiting if task.wake_at is not None]
            if not timed:
                self.on_deadlock()
            task = min(timed, key=lambda task: task.wake_at)
            self.advance(task.wake_at, self._waiting[task])
            # Who waits for something to happen sees it before it sees that the time is over.
            if not self._wake_checked() or task in self._waiting:
                self._waiting.pop(task)
                self._ready.append(task)
        return self._ready.popleft()

    def _wake_checked(self):
        found = [task for task in self._waiting if task.check is not None and task.check()]
        for task in found:
            self.wake(task)
        return bool(found)

    # Threads.

    def start_thread(self, function, start):
        """Have `start` run a function in a new thread, which gets the baton when it is its turn."""
        task = Task()

        def run():
            task.gate.acquire()
            try:
                function()
            finally:
                self._end()

        self._ready.append(task)
        try:
            return start(run)
        except BaseException:
            self._ready.remove(task)
            raise

    def _end(self):
        """The thread that runs has ended: somebody else goes on."""
        chosen = self._choose()
        self.current = chosen
        chosen.gate.release()
