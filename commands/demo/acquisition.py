"""Data acquisition: the state of the run and its counters."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Optional

from .errors import OutOfRange, WrongRunState
from .motion import INSTANT, NEVER

SETUP, RUNNING, PAUSED, WAITING, VETOING = "SETUP", "RUNNING", "PAUSED", "WAITING", "VETOING"
STATES = (SETUP, RUNNING, PAUSED, WAITING, VETOING)
# How long the electronics take to go from one state to another, in seconds.
DURATIONS = {
    "begin": 1.0, "end": 5.0, "abort": 1.0, "pause": 1.0, "resume": 1.0, "updatestore": 2.0,
    "title": 0.2, "change": 0.2, "sample_par": 0.1, "tcb": 1.0, "tables": 20.0, "monitor": 0.2,
    "vetos": 0.2, "soft_periods": 0.5,
}
# The state in which each transition ends.
ENDS_IN = {"begin": RUNNING, "end": SETUP, "abort": SETUP, "pause": PAUSED, "resume": RUNNING}
# What a run does not count through.
STOPS_COUNTING = ("end", "abort", "pause")


def _vetos() -> Dict[str, bool]:
    return {name: False for name in ("smp", "ts2", "hz50", "ext0", "ext1", "ext2", "ext3", "fifo")}


@dataclass
class Acquisition:
    """`state` is SETUP, RUNNING or PAUSED; that a running run is held back by run control or by a veto is
    not a state of the electronics but of the beamline, see `Simulation.run_state`."""

    state: str = SETUP
    run_number: int = 1
    uamps: float = 0.0
    frames: float = 0.0
    raw_frames: float = 0.0
    mevents: float = 0.0
    run_seconds: float = 0.0
    doing: Optional[str] = None
    doing_left: float = 0.0
    then_state: Optional[str] = None
    title: str = ""
    users: str = ""
    rb: str = "0"
    period: int = 1
    periods: int = 1
    soft_periods: bool = False
    sample: Dict[str, Any] = field(
        default_factory=lambda: {"geometry": "FLAT_PLATE", "width": 10.0, "height": 10.0, "thick": 1.0}
    )
    settings: Dict[str, Any] = field(default_factory=dict)
    vetos: Dict[str, bool] = field(default_factory=_vetos)
    saved: Dict[str, Any] = field(default_factory=dict)

    def start(self, what: str, **details: Any) -> float:
        """Begin something that takes a moment. Returns how long, in seconds."""
        if self.doing is not None:
            raise WrongRunState("the electronics are busy with %r" % self.doing)
        self._refuse_in_wrong_state(what, details)
        self.then_state = PAUSED if what == "begin" and details.get("paused") else ENDS_IN.get(what)
        if what == "begin":
            self._begin(int(details.get("period", 1)))
        self.doing, self.doing_left = what, DURATIONS[what]
        return self.doing_left

    def _refuse_in_wrong_state(self, what: str, details: Dict[str, Any]) -> None:
        if what == "begin" and self.state != SETUP:
            raise WrongRunState("run %d is %s; end or abort it before the next one" % (self.run_number, self.state))
        if what == "begin" and not 1 <= int(details.get("period", 1)) <= self.periods:
            raise OutOfRange("there is no period %s: the run has %d" % (details.get("period"), self.periods))
        if what in ("end", "abort", "updatestore") and self.state == SETUP:
            raise WrongRunState("no run is in progress, so there is nothing to %s; begin one first" % what)
        if what == "pause" and self.state != RUNNING:
            raise WrongRunState("the run is %s; only a running one can be paused" % self.state)
        if what == "resume" and self.state != PAUSED:
            raise WrongRunState("the run is %s; only a paused one can be resumed" % self.state)
        if what in ("tcb", "tables", "soft_periods") and self.state != SETUP:
            raise WrongRunState("%s cannot be changed in a run (it is %s); end it first" % (what, self.state))

    def _begin(self, period: int) -> None:
        self.period = period
        self.uamps = self.frames = self.raw_frames = self.mevents = self.run_seconds = 0.0

    def until_change(self) -> float:
        """Seconds until what is being done is done."""
        return self.doing_left if self.doing is not None else NEVER

    def advance(self, seconds: float, counts: bool, current: float, frame_rate: float, event_rate: float) -> None:
        """Let time pass, at most `until_change`. `counts`: the beamline lets a running run count;
        current in µA, frames per second, 10⁶ events per hour."""
        if self.state == RUNNING and self.doing not in STOPS_COUNTING:
            self.run_seconds += seconds
            self.raw_frames += frame_rate * seconds
            if counts and current > 0:
                self.uamps += current * seconds / 3600
                self.frames += frame_rate * seconds
                self.mevents += event_rate * seconds / 3600
        if self.doing is not None:
            self.doing_left -= seconds
            if self.doing_left <= INSTANT:
                self._done()

    def _done(self) -> None:
        if self.doing in ("end", "updatestore"):
            self.saved = {"run": self.run_number, "title": self.title, "uamps": self.uamps, "frames": self.frames}
        if self.doing in ("end", "abort"):
            self.run_number += 1
        if self.then_state is not None:
            self.state = self.then_state
        self.doing, self.doing_left, self.then_state = None, 0.0, None

    def as_dict(self) -> Dict[str, Any]:
        """Everything, as JSON can carry it."""
        return asdict(self)
