"""How commands reach the instrument, whichever it is: in a process of its own, or here on virtual time."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, Iterator, Optional

from .script import WaitSkipped, give_way, in_dry_run
from .simulation import Simulation, answer

# How often a wait looks, in seconds of real time.
POLL_EVERY = 0.1
SHORTEST_PAUSE = 0.25


class Instrument:
    """What commands use. `do`, `check` and `ask` are one exchange with the instrument each."""

    def ask(self, _what: str, **_details: Any) -> Any:
        """Ask for something: `state`, `status`, `now`, or an action through `do`."""
        raise NotImplementedError

    def nap(self, _left: Optional[float]) -> float:
        """Let a moment pass in a wait that will take about `left` seconds of the instrument. Returns for
        how long the script was paused meanwhile, in seconds of the instrument."""
        raise NotImplementedError

    def do(self, action: str, **details: Any) -> Any:
        """Carry out an action."""
        return self.ask("do", action=action, details=details)

    def check(self, wait: Dict[str, Any]) -> Dict[str, Any]:
        """How a wait stands."""
        return self.ask("check", wait=wait)

    def state(self) -> Dict[str, float]:
        """The numbers that describe the instrument."""
        return self.ask("state")

    def status(self) -> Dict[str, Any]:
        """Everything about the instrument."""
        return self.ask("status")

    def now(self) -> float:
        """The instrument's time in seconds."""
        return self.ask("now")

    def wait(self, wait: Dict[str, Any], at_most: Optional[float] = None) -> bool:
        """Wait until it is met. Returns False when `at_most` seconds have passed before that, or when
        somebody skipped the wait. Time spent in a pause does not count towards `at_most`."""
        until = None if at_most is None else self.now() + at_most
        while True:
            standing = self.check(wait)
            if standing["met"]:
                return True
            left = standing.get("left")
            try:
                paused = self._poll(standing["text"])
            except WaitSkipped:
                return False
            if until is not None:
                until += paused
                over = until - self.now()
                if over <= 1e-9:
                    return False
                left = over if left is None else min(left, over)
            paused = self.nap(left)
            until = None if until is None else until + paused

    def sleep(self, seconds: float) -> bool:
        """Wait for a time of the instrument. Returns False when somebody skipped it."""
        until = self.now() + seconds
        while True:
            left = until - self.now()
            if left <= 1e-9:
                return True
            try:
                until += self._poll("%.0f of %.0f s" % (left, seconds))
            except WaitSkipped:
                return False
            until += self.nap(left)

    def _poll(self, text: str) -> float:
        """Say what is waited for, and give way to pause, skip and abort. Returns for how long the script
        was paused, in seconds of the instrument."""
        before = time.monotonic()
        give_way(text)
        return self.paused_for(time.monotonic() - before)

    def paused_for(self, surplus: float) -> float:
        """How long a pause was that made something take so many real seconds longer than it should."""
        # Less is not a pause but a machine that is busy.
        return surplus * self.speed() if surplus > SHORTEST_PAUSE else 0.0

    def speed(self) -> float:
        """Seconds of the instrument in a second of real time."""
        return 1.0


class SystemClock:
    """Time as Python tells it, which a dry run replaces by virtual time."""

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


class ManualClock:
    """A clock that stands still but for its sleeps."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        """Seconds."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.time += seconds


class LocalInstrument(Instrument):
    """A simulation in this process. It follows its clock, and its waits go from event to event, so on a
    virtual clock a wait of hours costs next to nothing."""

    # How far to go when nothing is known to happen, in seconds.
    LONGEST_STEP = 60.0

    def __init__(self, simulation: Optional[Simulation] = None, clock: Any = None) -> None:
        self.simulation = simulation or Simulation()
        self.clock = clock or SystemClock()
        self._seen = self.clock.now()

    def follow(self) -> Simulation:
        """Carry the simulation forward to the clock's time."""
        now = self.clock.now()
        if now > self._seen:
            self.simulation.advance(now - self._seen)
        self._seen = now
        return self.simulation

    def ask(self, what: str, **details: Any) -> Any:
        return answer(self.follow(), what, details)

    def nap(self, left: Optional[float]) -> float:
        step = min(self.LONGEST_STEP, self.simulation.until_change()) if left is None else left
        self.clock.sleep(max(step, 1e-9))
        return 0.0


_chosen: Optional[Instrument] = None


def instrument() -> Instrument:
    """The instrument that commands drive: the one chosen with `use`, else the one of the server's data
    directory, which is started if need be. In a dry run it is the simulated one, also for scripts that go
    around the catalogue."""
    global _chosen
    if _chosen is None and in_dry_run():
        from .virtual import the_instrument

        return the_instrument()
    if _chosen is None:
        from .connection import RemoteInstrument

        _chosen = RemoteInstrument()
    return _chosen


@contextlib.contextmanager
def use(other: Instrument) -> Iterator[Instrument]:
    """Let commands drive another instrument for a while."""
    global _chosen
    before, _chosen = _chosen, other
    try:
        yield other
    finally:
        _chosen = before
