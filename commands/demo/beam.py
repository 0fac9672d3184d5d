"""The beam: a pulsed current that is switched off by a schedule, by a trip, or by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List

from .motion import INSTANT, NEVER


@dataclass
class Beam:
    """Current in µA, repetition rate in frames per second, event rate in 10⁶ events per hour; the rates
    are those with beam. `off` lists the times without beam as [from, to] in seconds of the simulation."""

    full_current: float = 40.0
    full_frame_rate: float = 10.0
    full_event_rate: float = 110.0
    tripped: bool = False
    off: List[List[float]] = field(default_factory=list)

    def is_on(self, now: float) -> bool:
        """Whether there is beam."""
        return not self.tripped and not any(begin <= now + INSTANT < end for begin, end in self.off)

    def current(self, now: float) -> float:
        """The current in µA."""
        return self.full_current if self.is_on(now) else 0.0

    def until_change(self, now: float) -> float:
        """Seconds until the schedule switches the beam."""
        edges = [edge - now for pair in self.off for edge in pair if edge - now > INSTANT]
        return min(edges) if edges else NEVER

    def schedule_off(self, begin: float, end: float) -> None:
        """Plan a time without beam."""
        if end > begin:
            self.off.append([float(begin), float(end)])

    def forget_past(self, now: float) -> None:
        """Drop what is over."""
        self.off = [pair for pair in self.off if pair[1] > now]
