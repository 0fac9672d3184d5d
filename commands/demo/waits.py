"""Waits for time, for counters, and for the state of the run. Counters are totals of the run: after a wait
for 10 µA·h, a wait for 30 µA·h takes 20 more."""

from __future__ import annotations

from typing import Optional

from .errors import InstrumentError
from .instrument import instrument


def waitfor_time(
    seconds: Optional[float] = None, minutes: Optional[float] = None, hours: Optional[float] = None,
    time: Optional[str] = None,
) -> None:
    """Wait for a time: the sum of what is given."""
    instrument().sleep(duration(seconds, minutes, hours, time))


def duration(
    seconds: Optional[float] = None, minutes: Optional[float] = None, hours: Optional[float] = None,
    time: Optional[str] = None,
) -> float:
    """The seconds of a time that is given in parts, `time` as "HH:MM:SS"."""
    if seconds is None and minutes is None and hours is None and time is None:
        raise InstrumentError("give at least one of seconds, minutes, hours, time")
    total = (seconds or 0.0) + 60 * (minutes or 0.0) + 3600 * (hours or 0.0)
    if time is not None:
        parts = [int(part) for part in time.split(":")]
        total += parts[0] * 3600 + parts[1] * 60 + parts[2]
    return total


def waitfor_uamps(uamps: float) -> None:
    """Wait until the run has this charge, in µA·h."""
    instrument().wait({"for": "uamps", "total": uamps})


def waitfor_frames(frames: int) -> None:
    """Wait until the run has this many good frames."""
    instrument().wait({"for": "frames", "total": frames})


def waitfor_raw_frames(raw_frames: int) -> None:
    """Wait until the run has this many frames, with beam or without."""
    instrument().wait({"for": "raw_frames", "total": raw_frames})


def waitfor_mevents(mevents: float) -> None:
    """Wait until the run has this many million events."""
    instrument().wait({"for": "mevents", "total": mevents})


def waitfor_runstate(state: str, maxwaitsecs: int = 3600, onexit: bool = False) -> None:
    """Wait until the run is in a state; with `onexit`, until it has left it."""
    if not instrument().wait({"for": "run_state", "state": state, "leave": onexit}, maxwaitsecs):
        print("the run is %s after the wait" % instrument().status()["run_state"])
