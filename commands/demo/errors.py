"""What the instrument says no to."""

from __future__ import annotations

from typing import Optional


class InstrumentError(RuntimeError):
    """The instrument refuses, in words for the scientist who asked. `device` is what was told to go too
    far, when that is the reason; a dry run marks it in its table."""

    def __init__(self, message: str, device: Optional[str] = None) -> None:
        super().__init__(message)
        self.device = device


class OutOfRange(InstrumentError, ValueError):
    """A value lies outside what the instrument can do."""


class WrongRunState(InstrumentError):
    """The run is not in a state in which this can be done."""
