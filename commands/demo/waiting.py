"""What commands wait for, as plain data, and how such a wait stands.

A wait is a mapping with `for` and what it needs: `{"for": "uamps", "total": 30}`. Its standing is a mapping
with `met`, `left` (the seconds until it will be met as things are; absent when that is not known, as in a
time without beam) and `text` (what is still to come, for people).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from .acquisition import RUNNING, SETUP, STATES
from .errors import InstrumentError, WrongRunState
from .motion import NEVER

if TYPE_CHECKING:
    from .simulation import Simulation

# Counters are sums of many small numbers.
CLOSE = 1e-9


def check_wait(simulation: "Simulation", wait: Dict[str, Any]) -> Dict[str, Any]:
    """How a wait stands at this moment."""
    try:
        function = KINDS[wait["for"]]
    except KeyError:
        raise InstrumentError("there is nothing to wait for in %r" % (wait,)) from None
    return function(simulation, wait)


def _standing(met: bool, left: Optional[float], text: str) -> Dict[str, Any]:
    standing: Dict[str, Any] = {"met": met, "text": text}
    if left is not None and left != NEVER:
        standing["left"] = left
    return standing


def _counter(simulation: "Simulation", wait: Dict[str, Any]) -> Dict[str, Any]:
    kind, total, run = wait["for"], float(wait["total"]), simulation.acquisition
    if run.state == SETUP and run.doing != "begin":
        raise WrongRunState("no run is in progress, so %s would never be reached; begin one first" % kind)
    unit, rate = _unit_and_rate(simulation, kind)
    now = float(getattr(run, kind))
    met = now >= total - CLOSE * max(1.0, total)
    left = (total - now) / rate if rate > 0 else None
    text = "%s of %s %s" % (_number(now, unit), _number(total, unit, True), unit)
    if not met and rate == 0:
        text += ", %s" % _why_not_counting(simulation)
    return _standing(met, 0.0 if met else left, text)


def _unit_and_rate(simulation: "Simulation", kind: str):
    """The unit of a counter and what it gains per second just now."""
    beam, state = simulation.beam, simulation.run_state()
    on = beam.is_on(simulation.now) and state == RUNNING
    if kind == "uamps":
        return "µA·h", beam.full_current / 3600 if on else 0.0
    if kind == "mevents":
        return "Mevents", beam.full_event_rate / 3600 if on else 0.0
    if kind == "frames":
        return "frames", beam.full_frame_rate if on else 0.0
    return "raw frames", beam.full_frame_rate if simulation.acquisition.state == RUNNING else 0.0


def _number(value: float, unit: str, exact: bool = False) -> str:
    if "frames" in unit:
        return "%d" % value
    return "%g" % value if exact else "%.1f" % value


def _why_not_counting(simulation: "Simulation") -> str:
    state = simulation.run_state()
    if state != RUNNING:
        return "the run is %s" % state
    return "the beam is off"


def _motion(simulation: "Simulation", wait: Dict[str, Any]) -> Dict[str, Any]:
    names: List[str] = wait.get("blocks") or list(simulation.axes)
    chosen = [simulation.axis(name) for name in names]
    moving = [axis for axis in chosen if axis.moving]
    left = max((axis.remaining() for axis in moving), default=0.0)
    slowest = max(moving, key=lambda axis: axis.remaining(), default=None)
    if slowest is None:
        return _standing(True, 0.0, "nothing moves")
    where = "%s at %.4g %s" % (slowest.name, slowest.value, slowest.unit)
    text = where + (" settles" if slowest.target is None else " of %.4g" % slowest.target)
    return _standing(False, left, "%s, %.0f s left" % (text, left))


def _moving(simulation: "Simulation", wait: Dict[str, Any]) -> Dict[str, Any]:
    standing = _motion(simulation, wait)
    return _standing(not standing["met"], None, "nothing moves yet")


def _block(simulation: "Simulation", wait: Dict[str, Any]) -> Dict[str, Any]:
    axis = simulation.axis(wait["block"])
    low, high = wait.get("low"), wait.get("high")
    low = -NEVER if low is None else float(low)
    high = NEVER if high is None else float(high)
    tolerance = 1e-6 * max(1.0, abs(axis.value))
    met = low - tolerance <= axis.value <= high + tolerance
    edge = low if axis.value < low else high
    left = axis.seconds_to(edge)
    wanted = "%g" % low if low == high else "%g to %g" % (low, high)
    return _standing(met, 0.0 if met else left, "%s at %.4g of %s %s" % (axis.name, axis.value, wanted, axis.unit))


def _run_state(simulation: "Simulation", wait: Dict[str, Any]) -> Dict[str, Any]:
    wanted, now = wait["state"], simulation.run_state()
    if wanted not in STATES:
        raise InstrumentError("there is no run state %r; there are %s" % (wanted, ", ".join(STATES)))
    met = (now != wanted) if wait.get("leave") else (now == wanted)
    return _standing(met, 0.0 if met else None, "the run is %s, not yet %s%s" % (
        now, "out of " if wait.get("leave") else "", wanted))


def _acquisition(simulation: "Simulation", _wait: Dict[str, Any]) -> Dict[str, Any]:
    run = simulation.acquisition
    return _standing(run.doing is None, run.doing_left, "%s: %.1f s left" % (run.doing, run.doing_left))


def _pump(simulation: "Simulation", _wait: Dict[str, Any]) -> Dict[str, Any]:
    pump = simulation.pump
    left = pump.until_change()
    return _standing(pump.left <= 0, 0.0 if pump.left <= 0 else left, "%.2f mL to pump" % pump.left)


KINDS: Dict[str, Callable[["Simulation", Dict[str, Any]], Dict[str, Any]]] = {
    "uamps": _counter, "mevents": _counter, "frames": _counter, "raw_frames": _counter,
    "motion": _motion, "moving": _moving, "block": _block, "run_state": _run_state,
    "acquisition": _acquisition, "pump": _pump,
}
