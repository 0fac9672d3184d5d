"""Where the script is, as far as is known. Fields are set from the script's thread; the watching thread
sends what changed, at most ten times a second."""

import time

# A hundred per cent belongs to the end of the job, which only the server knows.
HIGHEST_PERCENT = 99.0
# A step is told at once, unless steps come faster than this many seconds apart.
SHORTEST_STEP = 0.1
# Where an exception carries the step in which it was raised. Not kept here, because an exception that the
# script has caught would keep alive all that its frames hold.
RAISED_IN = "_beamq_step"
# Waits shorter than this many seconds are over before anybody reads what remains of them.
SHORTEST_SHOWN_WAIT = 3


class Progress:
    """What is shown of the running script."""

    def __init__(self, channel):
        self._channel = channel
        self.percent = None
        self.basis = "unknown"
        self.line = None
        self.step = None
        self.text = None
        self.wait = None
        # The name of the catalogue command that runs, and what it says it waits for.
        self.command = None
        self._share = (0.0, 100.0)
        self._sent = None
        self._sent_at = 0.0

    def reach(self, percent, basis):
        """Take over a percentage; it never falls."""
        if percent is None or percent != percent:
            return
        percent = min(max(percent, 0.0), HIGHEST_PERCENT)
        if self.percent is None or percent >= self.percent:
            self.percent = percent
            self.basis = basis

    def begin_share(self, low, high, basis):
        """A part of the script begins that takes the job from `low` to `high` per cent."""
        self._share = (low, max(low, high))
        self.reach(low, basis)

    def track(self, iterable, total, text):
        """Follow a loop. A loop within a tracked loop moves within its turn of the outer one."""
        low, high = share = self._share
        done = 0
        try:
            for item in iterable:
                if text is not None:
                    self.text = text
                if total:
                    width = (high - low) / total
                    begin = low + width * min(done, total)
                    self._share = (begin, min(begin + width, high))
                    self.reach(begin, "loop")
                yield item
                done += 1
            if total:
                self.reach(high if done >= total else low + (high - low) * done / total, "loop")
        finally:
            self._share = share

    def enter_step(self, name):
        """The step changed: told at once."""
        self.step = name
        self.wait = None
        if time.monotonic() - self._sent_at >= SHORTEST_STEP:
            self.send()

    def note_step_of(self, error):
        """An exception leaves the present step, the innermost one of those that it leaves."""
        try:
            if getattr(error, RAISED_IN, None) is None:
                setattr(error, RAISED_IN, self.step)
        except Exception:  # An exception that takes no attributes is the script's own affair.
            pass

    def stop_at(self, error, line):
        """The script has ended before its time: tell where it was."""
        self.step = getattr(error, RAISED_IN, None) or self.step
        self.line = line or self.line
        self.send()

    def send(self):
        """Send what is known, if it is news."""
        fields = {
            "percent": None if self.percent is None else round(self.percent, 2),
            "basis": self.basis,
            "line": self.line,
            "step": self.step,
            "text": self.text,
        }
        wait = self.wait
        if wait is not None:
            fields["command"] = wait.name
            fields["remaining"] = remaining(wait)
        command = self.command
        if command is not None:
            fields["command"], waits_for = command
            fields["remaining"] = waits_for or fields.get("remaining")
        if fields != self._sent:
            self._sent = fields
            self._sent_at = time.monotonic()
            self._channel.send("progress", progress={k: v for k, v in fields.items() if v is not None})


def remaining(wait):
    """What a wait still waits for, with its unit; whole seconds, so that it is not news all the time."""
    if wait.deadline is None or not SHORTEST_SHOWN_WAIT <= wait.seconds < float("inf"):
        return None
    left = max(0.0, wait.deadline - time.monotonic())
    return "%d of %d s" % (round(left), round(wait.seconds))
