"""Sample environment: temperature, field, liquids, the trough, alerts."""

from __future__ import annotations

from typing import List, Optional, Union

from .errors import InstrumentError, OutOfRange
from .instrument import instrument
from .simulation import DEVICE_CHANGE, area_for_pressure

# How wide the trough is, in cm: the speed of its barrier times this is the speed of its area.
TROUGH_WIDTH = 10.0
# Concentrations are typed by people.
CLOSE_TO_100 = 0.01


def _go(block: str, value: float, wait: bool, rate: Optional[float] = None, at_most: Optional[float] = None) -> None:
    link = instrument()
    link.do("move", block=block, value=value, rate=rate)
    if wait and not link.wait({"for": "motion", "blocks": [block]}, at_most):
        print("%s has not arrived; going on" % block)


def set_temperature(value: Union[float, str], wait: bool = False) -> None:
    """Ramp the cryostat to a temperature in K, or leave it with "keep"."""
    if value == "keep":
        return
    _go("Temperature", float(value), wait)


def set_field(value: Union[float, str], device: str = "LF", wait: bool = False) -> None:
    """Ramp the field, in T; another device can only be chosen at zero field."""
    link = instrument()
    if value == "keep":
        return
    if (float(value) == 0) != (device == "ZF"):
        raise InstrumentError("zero field is made by the device ZF, and ZF makes no other; %g T with %s is neither"
                              % (float(value), device))
    status = link.status()
    if status["field_device"] != device:
        if abs(status["axes"]["Field"]["value"]) > 1e-6:
            _go("Field", 0.0, True)
        link.do("field_device", device=device)
        link.sleep(DEVICE_CHANGE)
    _go("Field", float(value), wait)


def contrast_change(
    concentrations: List[float], flow: float = 1.0, volume: Optional[float] = None,
    seconds: Optional[float] = None, wait: bool = False,
) -> None:
    """Pump a mixture of the buffers A to D through the cell."""
    if abs(sum(concentrations) - 100) > CLOSE_TO_100:
        raise OutOfRange("the concentrations sum to 100 %%, not to %g %%" % sum(concentrations))
    shares = {name: part / 100 for name, part in zip("ABCD", concentrations) if part > 0}
    _pump(shares, flow, _volume(flow, volume, seconds), wait)


def inject(flow: float = 1.0, volume: Optional[float] = None, seconds: Optional[float] = None, wait: bool = False) -> None:
    """Inject from the syringe."""
    _pump({"syringe": 1.0}, flow, _volume(flow, volume, seconds), wait)


def _volume(flow: float, volume: Optional[float], seconds: Optional[float]) -> float:
    if (volume is None) == (seconds is None):
        raise InstrumentError("give either volume or seconds")
    return volume if volume is not None else flow * (seconds or 0.0) / 60


def _pump(shares: "dict[str, float]", flow: float, volume: float, wait: bool) -> None:
    link = instrument()
    link.do("pump", shares=shares, flow=flow, volume=volume)
    if wait:
        link.wait({"for": "pump"})


def go_to_pressure(pressure: float, speed: float = 15.0, maxwait: float = 3600.0) -> None:
    """Move the barrier of the trough until the film has a pressure in mN/m; speed in cm/min."""
    _go("Trough_Area", area_for_pressure(pressure), True, speed * TROUGH_WIDTH / 60, maxwait)


def go_to_area(area: float, speed: float = 15.0, maxwait: float = 3600.0) -> None:
    """Move the barrier of the trough to an area in cm²; speed in cm/min."""
    _go("Trough_Area", area, True, speed * TROUGH_WIDTH / 60, maxwait)


def send_alert(message: str) -> None:
    """Send a message to those who are on call."""
    instrument().do("alert", message=message)
    print("alert: %s" % message)
