"""`datetime` on virtual time: its classes know no other clock than the system's."""


def install(clock):
    """Replace `datetime.datetime` and `datetime.date` by classes that follow the clock. What was made
    before, and what compiled libraries make, counts as an instance of them."""
    import datetime as module

    real_date, real_datetime = module.date, module.datetime

    class LikeReal(type):
        real = object

        def __instancecheck__(cls, other):
            return isinstance(other, cls.real) if cls in (date, datetime) else type.__instancecheck__(cls, other)

        def __subclasscheck__(cls, other):
            return issubclass(other, cls.real) if cls in (date, datetime) else type.__subclasscheck__(cls, other)

    class date(real_date, metaclass=LikeReal):
        @classmethod
        def today(cls):
            return cls.fromtimestamp(clock.time())

    class datetime(real_datetime, metaclass=LikeReal):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(clock.time(), tz)

        @classmethod
        def utcnow(cls):
            aware = real_datetime.fromtimestamp(clock.time(), module.timezone.utc)
            return cls(*aware.timetuple()[:6], aware.microsecond)

        @classmethod
        def today(cls):
            return cls.fromtimestamp(clock.time())

    for made, real in ((date, real_date), (datetime, real_datetime)):
        made.real = real
        made.__module__, made.__qualname__, made.__doc__ = "datetime", real.__name__, real.__doc__
        setattr(module, real.__name__, made)
