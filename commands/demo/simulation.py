"""The simulated instrument as a whole: state that is carried forward by an explicit amount of time.

    instrument = Simulation()
    instrument.do("begin")
    instrument.advance(1.0 + 900.0)
    assert instrument.acquisition.uamps == 10.0      # 40 µA for 900 s

Nothing here waits or reads a clock, so the same model serves in real time, accelerated, and on the virtual
time of a dry run. Between two events everything changes linearly, and `advance` goes from event to event,
so the result does not depend on the size of the steps.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Callable, Dict, List, Optional

from .acquisition import RUNNING, SETUP, VETOING, WAITING, Acquisition
from .beam import Beam
from .errors import InstrumentError, OutOfRange
from .fluidics import Pump
from .motion import INSTANT, Axis, axes
from .waiting import check_wait

# Where the changer puts the sample positions A to T, in mm.
POSITIONS = {"%sT" % letter: 25.0 * index for index, letter in enumerate("ABCDEFGHIJKLMNOPQRST")}
APERTURES = {"SMALL": 0.0, "MEDIUM": 50.0, "LARGE": 100.0}
# The device that makes the field, and how long it takes to change it, in seconds.
FIELD_DEVICES = ("ZF", "LF", "TF")
DEVICE_CHANGE = 5.0
# How the trough's pressure follows its area, in mN/m and cm².
LARGEST_PRESSURE, SMALLEST_AREA, LARGEST_AREA = 70.0, 50.0, 900.0
SAVED_FORMAT = 1
# Units as people write them, where the axes have plain letters.
UNITS = {"us": "µs", "degC": "°C", "cm2": "cm²"}
COUNTERS = {"uamps": "µA·h", "frames": "frames", "raw_frames": "frames", "mevents": "Mevents"}
# More alerts than anybody reads.
MOST_ALERTS = 100


def area_for_pressure(pressure: float) -> float:
    """The area of the trough, in cm², at which its film has a pressure in mN/m."""
    if not 0 <= pressure <= LARGEST_PRESSURE:
        raise OutOfRange("the film has a pressure of 0 to %g mN/m, not %g mN/m" % (LARGEST_PRESSURE, pressure))
    return LARGEST_AREA - pressure / LARGEST_PRESSURE * (LARGEST_AREA - SMALLEST_AREA)


class Simulation:
    """The instrument at one moment; `now` is the time in seconds since it was made."""

    def __init__(self) -> None:
        self.now = 0.0
        self.axes: Dict[str, Axis] = axes()
        self.beam = Beam()
        self.acquisition = Acquisition()
        self.pump = Pump()
        self.field_device = "ZF"
        self.alerts: List[Dict[str, Any]] = []
        self._actions: Dict[str, Callable[..., Any]] = {
            "begin": self._begin, "start": self._start, "move": self._move, "run_control": self._run_control,
            "put": self._put, "stop": self._stop, "pump": self.pump.start, "refill": self._refill,
            "field_device": self._choose_field_device, "trip": self._trip, "beam_off": self._beam_off,
            "alert": self._alert, "settings": self._settings,
        }

    # Time.

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if not seconds >= 0:
            raise ValueError("time goes forward only, not by %r s" % (seconds,))
        left = seconds
        while left > 0:
            step = min(left, self.until_change())
            self._flow(step)
            left = left - step if left - step > INSTANT else 0.0
        self.beam.forget_past(self.now)

    def until_change(self) -> float:
        """Seconds until the next thing happens by itself; `inf` when nothing will."""
        parts = [axis.until_change() for axis in self.axes.values()]
        parts += [self.beam.until_change(self.now), self.acquisition.until_change(), self.pump.until_change()]
        return max(min(parts), INSTANT)

    def _flow(self, seconds: float) -> None:
        counts = self.run_state() == RUNNING
        beam = self.beam
        self.acquisition.advance(
            seconds, counts, beam.current(self.now), beam.full_frame_rate, beam.full_event_rate
        )
        for axis in self.axes.values():
            axis.advance(seconds)
        self.pump.advance(seconds)
        self.now += seconds

    # What there is to see.

    def run_state(self) -> str:
        """SETUP, RUNNING, PAUSED, WAITING (a block is out of its run control) or VETOING (the chopper is
        not in phase and its veto is on)."""
        state = self.acquisition.state
        if state != RUNNING:
            return state
        if not all(axis.in_range for axis in self.axes.values()):
            return WAITING
        if self.acquisition.vetos["ext0"] and self.axes["Chopper_Phase"].moving:
            return VETOING
        return RUNNING

    def axis(self, name: str) -> Axis:
        """An axis by the name of its block."""
        try:
            return self.axes[name]
        except KeyError:
            raise InstrumentError("there is no block %r; there are %s" % (name, ", ".join(self.axes))) from None

    def pressure(self) -> float:
        """The pressure of the film, in mN/m."""
        area = self.axes["Trough_Area"].value
        return (LARGEST_AREA - area) / (LARGEST_AREA - SMALLEST_AREA) * LARGEST_PRESSURE

    def state(self) -> Dict[str, Any]:
        """The names and values that estimates can use, as `state.NAME`."""
        run, beam = self.acquisition, self.beam
        on = beam.is_on(self.now)
        values: Dict[str, Any] = {
            "uamps": run.uamps, "frames": run.frames, "raw_frames": run.raw_frames, "mevents": run.mevents,
            "run_seconds": run.run_seconds, "period": float(run.period), "run_number": float(run.run_number),
            "running": float(run.state == RUNNING),
            "beam_current": beam.current(self.now),
            "frame_rate": beam.full_frame_rate if on else 0.0, "raw_frame_rate": beam.full_frame_rate,
            "event_rate": beam.full_event_rate if on else 0.0,
            "pressure": self.pressure(), "pump_left": self.pump.left,
            "field_device": self.field_device,
            "motion_left": max(axis.remaining() for axis in self.axes.values()),
        }
        values.update((name.lower(), axis.value) for name, axis in self.axes.items())
        for source, volume in self.pump.volumes.items():
            values[source if source == "syringe" else "buffer_" + source.lower()] = volume
        return values

    def readings(self) -> Dict[str, Dict[str, Any]]:
        """What there is to watch, with units: devices and where they are, counters and what they have
        counted, consumables and what is left of them."""
        found: Dict[str, Dict[str, Any]] = {}
        for name, axis in self.axes.items():
            found[name] = {"kind": "device", "value": axis.value, "unit": UNITS.get(axis.unit, axis.unit)}
        run = self.acquisition
        for name, unit in COUNTERS.items():
            found[name] = {"kind": "counter", "value": getattr(run, name), "unit": unit}
        for source, volume in self.pump.volumes.items():
            name = source if source == "syringe" else "buffer %s" % source
            found[name] = {"kind": "consumable", "value": volume, "unit": "mL"}
        return found

    def status(self) -> Dict[str, Any]:
        """Everything, for people and for a copy: what `restore` takes."""
        return {
            "format": SAVED_FORMAT, "now": self.now, "run_state": self.run_state(),
            "axes": {name: asdict(axis) for name, axis in self.axes.items()},
            "beam": asdict(self.beam), "acquisition": asdict(self.acquisition), "pump": asdict(self.pump),
            "field_device": self.field_device, "alerts": list(self.alerts),
        }

    def restore(self, status: Dict[str, Any]) -> None:
        """Become what `status` told. Raises InstrumentError when it is of another format."""
        if status.get("format") != SAVED_FORMAT:
            raise InstrumentError("the saved state has format %r, this is %d" % (status.get("format"), SAVED_FORMAT))
        known = axes()
        axes_now = {name: Axis(**saved) for name, saved in status["axes"].items() if name in known}
        run, beam, pump = Acquisition(**status["acquisition"]), Beam(**status["beam"]), Pump(**status["pump"])
        self.now = float(status["now"])
        self.axes = {**known, **axes_now}
        self.acquisition, self.beam, self.pump = run, beam, pump
        self._actions["pump"] = pump.start
        self.field_device, self.alerts = status["field_device"], list(status["alerts"])

    def check(self, wait: Dict[str, Any]) -> Dict[str, Any]:
        """How a wait stands, see `waiting`."""
        return check_wait(self, wait)

    # What can be done to it.

    def do(self, action: str, **details: Any) -> Any:
        """Carry out an action by its name. Those that take a moment return their length in seconds."""
        try:
            function = self._actions[action]
        except KeyError:
            raise InstrumentError("the instrument knows no action %r" % action) from None
        return function(**details)

    def _begin(self, period: int = 1, paused: bool = False) -> float:
        return self.acquisition.start("begin", period=period, paused=paused)

    def _start(self, what: str) -> float:
        return self.acquisition.start(what)

    def _settings(self, **values: Any) -> None:
        run = self.acquisition
        for name in ("period", "periods"):
            if name in values and run.state != SETUP:
                raise InstrumentError("%s cannot be changed in a run (it is %s); end it first" % (name, run.state))
        for name in ("title", "users", "rb", "period", "periods", "soft_periods"):
            if name in values:
                setattr(run, name, values.pop(name))
        run.period = min(run.period, run.periods)
        run.sample.update(values.pop("sample", {}))
        run.vetos.update(values.pop("vetos", {}))
        run.settings.update(values)

    def _move(self, block: str, value: float, rate: Optional[float] = None) -> float:
        axis = self.axis(block)
        axis.move(value, rate)
        return axis.remaining()

    def _put(self, block: str, value: float) -> None:
        self.axis(block).put(value)

    def _stop(self, block: str) -> None:
        self.axis(block).stop()

    def _run_control(
        self, block: str, on: Optional[bool] = None, low: Optional[float] = None, high: Optional[float] = None
    ) -> None:
        axis = self.axis(block)
        low = axis.low if low is None else low
        high = axis.high if high is None else high
        if low is not None and high is not None and low > high:
            raise OutOfRange("the low limit of %s, %g, is above its high limit, %g" % (block, low, high))
        axis.low, axis.high = low, high
        axis.runcontrol = axis.runcontrol if on is None else bool(on)

    def _choose_field_device(self, device: str) -> None:
        if device not in FIELD_DEVICES:
            raise InstrumentError("there is no field device %r; there are %s" % (device, ", ".join(FIELD_DEVICES)))
        if device != self.field_device and abs(self.axes["Field"].value) > 1e-6:
            raise InstrumentError("the field must be zero to change from %s to %s" % (self.field_device, device))
        self.field_device = device

    def _refill(self, source: str, volume: float) -> None:
        self.pump.refill(source, volume)

    def _trip(self, on: bool) -> None:
        self.beam.tripped = bool(on)

    def _beam_off(self, after: float, seconds: float) -> None:
        self.beam.schedule_off(self.now + float(after), self.now + float(after) + float(seconds))

    def _alert(self, message: str) -> None:
        self.alerts = (self.alerts + [{"time": self.now, "message": message}])[-MOST_ALERTS:]


def answer(simulation: Simulation, what: str, details: Dict[str, Any]) -> Any:
    """Answer what a command asks."""
    if what == "do":
        return simulation.do(details["action"], **details["details"])
    if what == "check":
        return simulation.check(details["wait"])
    if what == "state":
        return simulation.state()
    if what == "status":
        return simulation.status()
    if what == "now":
        return simulation.now
    raise InstrumentError("the instrument cannot be asked for %r" % (what,))
