"""Quantities that take time to change: motors, temperatures, fields, all as a linear ramp and a settling
time after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from .errors import OutOfRange

NEVER = float("inf")
# Differences of time that are below what any of this can resolve, in seconds.
INSTANT = 1e-9


@dataclass
class Axis:
    """One quantity with a unit: where it is, where it goes, and how fast (units per second)."""

    name: str
    unit: str
    minimum: float
    maximum: float
    speed: float
    settle: float
    value: float
    target: Optional[float] = None
    settling: float = 0.0
    ramp: Optional[float] = None
    low: Optional[float] = None
    high: Optional[float] = None
    runcontrol: bool = False

    @property
    def moving(self) -> bool:
        """Whether it moves or settles."""
        return self.target is not None or self.settling > 0

    @property
    def rate(self) -> float:
        """Units per second of the present move."""
        return self.ramp or self.speed

    @property
    def in_range(self) -> bool:
        """Whether run control lets the run count."""
        if not self.runcontrol:
            return True
        above = self.low is None or self.value >= self.low - 1e-9
        below = self.high is None or self.value <= self.high + 1e-9
        return above and below

    def check(self, target: float) -> None:
        """Raise unless this axis can go there."""
        if not self.minimum <= target <= self.maximum:
            raise OutOfRange(
                "%s cannot go to %g %s: its limits are %g to %g %s"
                % (self.name, target, self.unit, self.minimum, self.maximum, self.unit),
                self.name,
            )

    def move(self, target: float, rate: Optional[float] = None) -> None:
        """Start to move; replaces a move that is under way."""
        self.check(target)
        self.target = float(target)
        self.ramp = rate
        self.settling = 0.0

    def put(self, value: float) -> None:
        """Be there at once: a change by hand."""
        self.check(value)
        self.value = float(value)
        self.target, self.ramp, self.settling = None, None, 0.0

    def stop(self) -> None:
        """Stay where it is."""
        self.target, self.ramp, self.settling = None, None, 0.0

    def remaining(self) -> float:
        """Seconds until it has arrived and settled."""
        if self.target is None:
            return self.settling
        return abs(self.target - self.value) / self.rate + self.settle

    def seconds_to(self, level: float) -> float:
        """Seconds until the present move passes a level; NEVER when it does not."""
        if self.target is None or not min(self.value, self.target) <= level <= max(self.value, self.target):
            return NEVER
        return abs(level - self.value) / self.rate

    def until_change(self) -> float:
        """Seconds until it arrives, has settled, or crosses a limit of run control."""
        if self.target is None:
            return self.settling if self.settling > 0 else NEVER
        times = [abs(self.target - self.value) / self.rate]
        if self.runcontrol:
            crossings = [self.seconds_to(level) for level in (self.low, self.high) if level is not None]
            # A little beyond the limit, so that the crossing is over when the time has passed.
            times += [time + INSTANT * 10 for time in crossings if time > INSTANT * 10]
        return min(times)

    def advance(self, seconds: float) -> None:
        """Let time pass, at most `until_change`."""
        if self.target is not None:
            needed = abs(self.target - self.value) / self.rate
            if seconds >= needed - INSTANT:
                self.value, self.target, self.ramp = self.target, None, None
                self.settling = self.settle
            else:
                self.value += self.rate * seconds * (1 if self.target > self.value else -1)
        elif self.settling > 0:
            self.settling = self.settling - seconds if self.settling - seconds > INSTANT else 0.0


def axes() -> "dict[str, Axis]":
    """The axes of the example instrument, by the name of their block."""
    table = [
        # name, unit, minimum, maximum, speed, settle, value
        ("Theta", "deg", -5, 90, 0.5, 1, 0),
        ("Phi", "deg", -180, 180, 1, 1, 0),
        ("Sample_Height", "mm", -20, 20, 1, 0.5, 0),
        ("S1_VGap", "mm", 0, 50, 2, 0.5, 10),
        ("S1_HGap", "mm", 0, 50, 2, 0.5, 10),
        ("S2_VGap", "mm", 0, 50, 2, 0.5, 10),
        ("S2_HGap", "mm", 0, 50, 2, 0.5, 10),
        ("Changer", "mm", 0, 500, 20, 2, 0),
        ("Trans_Monitor", "mm", 0, 100, 10, 1, 0),
        ("Aperture", "mm", 0, 100, 5, 1, 50),
        ("Chopper_Phase", "us", 0, 20000, 100, 5, 0),
        ("Ei", "meV", 5, 1000, 2, 30, 25),
        ("Temperature", "K", 0.1, 300, 2 / 60, 30, 290),
        ("Julabo1_SP", "degC", 5, 80, 3 / 60, 60, 25),
        ("Field", "T", -5, 5, 0.5 / 60, 10, 0),
        ("Trough_Area", "cm2", 50, 900, 150 / 60, 2, 900),
    ]
    return {row[0]: Axis(row[0], row[1], *(float(number) for number in row[2:])) for row in table}
