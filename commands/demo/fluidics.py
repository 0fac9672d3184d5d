"""Liquids: four buffers that a pump mixes, and a syringe. What is pumped is used up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict

from .errors import InstrumentError, OutOfRange
from .motion import INSTANT, NEVER

LARGEST_FLOW = 10.0


@dataclass
class Pump:
    """Volumes in mL, flows in mL/min."""

    volumes: Dict[str, float] = field(
        default_factory=lambda: {"A": 500.0, "B": 500.0, "C": 500.0, "D": 500.0, "syringe": 50.0}
    )
    cell: Dict[str, float] = field(default_factory=dict)
    shares: Dict[str, float] = field(default_factory=dict)
    flow: float = 0.0
    left: float = 0.0

    def start(self, shares: Dict[str, float], flow: float, volume: float) -> float:
        """Pump `volume`, taken from the sources by their shares (which sum to 1). Returns the seconds."""
        if not 0 < flow <= LARGEST_FLOW:
            raise OutOfRange("the pump cannot deliver %g mL/min: its limits are 0 to %g mL/min" % (flow, LARGEST_FLOW))
        if self.left > 0:
            raise InstrumentError("the pump still delivers %.1f mL; wait for it first" % self.left)
        for source, share in shares.items():
            needed = share * volume
            if needed > self.volumes[source] + 1e-6:
                name = "the syringe" if source == "syringe" else "buffer %s" % source
                raise InstrumentError(
                    "%s holds %.1f mL and %.1f mL are needed; refill it" % (name, self.volumes[source], needed)
                )
        self.shares, self.flow, self.left = dict(shares), float(flow), float(volume)
        return self.until_change() if volume > 0 else 0.0

    def until_change(self) -> float:
        """Seconds until the pump stops."""
        return self.left / self.flow * 60 if self.left > 0 else NEVER

    def advance(self, seconds: float) -> None:
        """Let time pass, at most `until_change`."""
        if self.left <= 0:
            return
        amount = min(self.left, self.flow * seconds / 60)
        self.left = self.left - amount if (self.left - amount) / self.flow * 60 > INSTANT else 0.0
        for source, share in self.shares.items():
            self.volumes[source] = max(0.0, self.volumes[source] - share * amount)
        if self.left == 0:
            self.cell = dict(self.shares)

    def refill(self, source: str, volume: float) -> None:
        """Put liquid in, by hand."""
        if source not in self.volumes:
            raise InstrumentError("there is no %r; there are %s" % (source, ", ".join(self.volumes)))
        self.volumes[source] = max(0.0, float(volume))
