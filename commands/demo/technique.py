"""Whole measurements, as scientists ask for them."""

from __future__ import annotations

from typing import Dict, List, Optional

from .blocks import cset
from .errors import InstrumentError, OutOfRange
from .instrument import instrument
from .run_control import begin, change_sample_par, change_title, end
from .simulation import APERTURES, POSITIONS
from .waits import duration, waitfor_frames, waitfor_mevents, waitfor_time, waitfor_uamps

# Where the transmission monitor stands, in mm.
MONITOR_IN, MONITOR_OUT = 100.0, 0.0


def _move_all(targets: Dict[str, float]) -> None:
    """Move several axes at once and wait for all of them."""
    link = instrument()
    for block, value in targets.items():
        link.do("move", block=block, value=value)
    if targets:
        link.wait({"for": "motion", "blocks": list(targets)})


def _one_of(**given: Optional[float]) -> None:
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        said = "none is given" if not named else "%s are given" % " and ".join(named)
        raise InstrumentError("say how long to count with one of %s; %s" % (", ".join(given), said))


def _count(
    uamps: Optional[float] = None, frames: Optional[int] = None, seconds: Optional[float] = None,
    mevents: Optional[float] = None,
) -> None:
    if uamps is not None:
        waitfor_uamps(uamps)
    elif frames is not None:
        waitfor_frames(frames)
    elif mevents is not None:
        waitfor_mevents(mevents)
    else:
        waitfor_time(seconds=seconds or 0.0)


def _measure(
    title: str, position: str, thickness: float, monitor: float, aperture: Optional[str],
    blocks: Optional[Dict[str, float]], uamps: Optional[float], frames: Optional[int],
    seconds: Optional[float], minutes: Optional[float], hours: Optional[float],
) -> None:
    _one_of(uamps=uamps, frames=frames, seconds=seconds, minutes=minutes, hours=hours)
    targets = {"Changer": POSITIONS[position], "Trans_Monitor": monitor, **(blocks or {})}
    if aperture is not None:
        targets["Aperture"] = APERTURES[aperture]
    _move_all(targets)
    change_sample_par("thick", thickness)
    change_title(title)
    begin(quiet=True)
    if uamps is None and frames is None:
        seconds = duration(seconds, minutes, hours)
    _count(uamps, frames, seconds)
    end(quiet=True)


def do_sans(
    title: str, position: str, thickness: float = 1.0, aperture: Optional[str] = None,
    uamps: Optional[float] = None, frames: Optional[int] = None, seconds: Optional[float] = None,
    minutes: Optional[float] = None, hours: Optional[float] = None,
    blocks: Optional[Dict[str, float]] = None,
) -> None:
    """Measure the scattering of the sample at a position of the changer."""
    _measure(title + "_SANS", position, thickness, MONITOR_OUT, aperture, blocks, uamps, frames, seconds, minutes, hours)


def do_trans(
    title: str, position: str, thickness: float = 1.0, aperture: Optional[str] = None,
    uamps: Optional[float] = None, frames: Optional[int] = None, seconds: Optional[float] = None,
    minutes: Optional[float] = None, hours: Optional[float] = None,
    blocks: Optional[Dict[str, float]] = None,
) -> None:
    """Measure the transmission of the sample at a position of the changer: the monitor moves in."""
    _measure(title + "_TRANS", position, thickness, MONITOR_IN, aperture, blocks, uamps, frames, seconds, minutes, hours)


def run_angle(
    sample: str, angle: float, count_uamps: Optional[float] = None, count_seconds: Optional[float] = None,
    count_frames: Optional[int] = None, vgaps: Optional[Dict[str, float]] = None,
    hgaps: Optional[Dict[str, float]] = None, mode: str = "PNR",
) -> None:
    """Measure a reflectivity at one angle: the detector goes to twice the angle of the sample."""
    _one_of(count_uamps=count_uamps, count_seconds=count_seconds, count_frames=count_frames)
    targets = {"Theta": angle, "Phi": 2 * angle}
    targets.update({"%s_VGap" % slit: gap for slit, gap in (vgaps or {}).items()})
    targets.update({"%s_HGap" % slit: gap for slit, gap in (hgaps or {}).items()})
    _move_all(targets)
    change_title("%s %g deg %s" % (sample, angle, mode))
    begin(quiet=True)
    _count(count_uamps, count_frames, count_seconds)
    end(quiet=True)


def points_of(start: float, stop: float, step: Optional[float] = None, count: Optional[int] = None) -> List[float]:
    """The points of a scan, both ends included; a step may point up or down."""
    if (step is None) == (count is None):
        raise InstrumentError("give either step or count")
    if count is not None:
        width = (stop - start) / (count - 1) if count > 1 else 0.0
        return [start + width * index for index in range(count)]
    if not step:
        raise OutOfRange("a step of 0 never arrives")
    size = abs(step) if stop >= start else -abs(step)
    return [start + size * index for index in range(int((stop - start) / size + 1e-9) + 1)]


def scan(
    motion: str, start: float, stop: float, step: Optional[float] = None, count: Optional[int] = None,
    uamps: Optional[float] = None, frames: Optional[int] = None, seconds: Optional[float] = None,
) -> None:
    """Measure a run at each point of a motion."""
    _one_of(uamps=uamps, frames=frames, seconds=seconds)
    for point in points_of(start, stop, step, count):
        cset(motion, point, wait=True)
        begin(quiet=True)
        _count(uamps, frames, seconds)
        end(quiet=True)


def scan_chopper(phase_from: float, phase_to: float, phase_step: float, uamps: float = 4.0) -> None:
    """Measure a run at each phase of the chopper."""
    scan("Chopper_Phase", phase_from, phase_to, step=phase_step, uamps=uamps)


def set_ei(energy: float, wait: bool = True) -> None:
    """Set the incident energy in meV."""
    cset("Ei", energy, wait=wait)


def set_aperture(size: str, wait: bool = True) -> None:
    """Choose the aperture."""
    cset("Aperture", APERTURES[size], wait=wait)
