"""What the instrument says no to."""


class InstrumentError(RuntimeError):
    """The instrument refuses, in words for the scientist who asked."""


class OutOfRange(InstrumentError, ValueError):
    """A value lies outside what the instrument can do."""


class WrongRunState(InstrumentError):
    """The run is not in a state in which this can be done."""
