"""Run control and the settings of a run."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional

from .errors import OutOfRange
from .hooks import run_hook
from .instrument import instrument


def _do(what: str, text: Optional[str] = None) -> None:
    """Have the electronics do something and wait until it is done."""
    instrument().do("start", what=what)
    _settle(text)


def _settle(text: Optional[str] = None) -> None:
    link = instrument()
    while not link.wait({"for": "acquisition"}):
        pass  # The electronics cannot be skipped.
    if text is not None:
        print(text)


def _run() -> Dict[str, Any]:
    return instrument().status()["acquisition"]


def begin(
    period: int = 1, meas_id: Optional[str] = None, meas_type: Optional[str] = None,
    meas_subid: Optional[str] = None, sample_id: Optional[str] = None, delayed: bool = False,
    quiet: bool = False, paused: bool = False, verbose: bool = False, prepost: bool = True,
) -> None:
    """Begin a run: the counters start at zero."""
    run_hook("begin", "pre", prepost)
    link = instrument()
    link.do("begin", period=period, paused=paused or delayed)
    measurement = {"meas_id": meas_id, "meas_type": meas_type, "meas_subid": meas_subid, "sample_id": sample_id}
    link.do("settings", **{key: value for key, value in measurement.items() if value is not None})
    _settle()
    if not quiet:
        print("Run %d has begun" % _run()["run_number"])
    if verbose:
        print("period %d, %s" % (period, "paused" if paused or delayed else "counting"))
    run_hook("begin", "post", prepost)


def end(quiet: bool = False, immediate: bool = False, verbose: bool = False, prepost: bool = True) -> None:
    """End the run and save its data. `immediate` does not wait for the end of the frame, which the
    simulated electronics never do."""
    run_hook("end", "pre", prepost)
    run = _run()
    _do("end")
    if not quiet:
        print("Run %d has ended: %.3f µA·h, %d frames" % (run["run_number"], run["uamps"], run["frames"]))
    if verbose:
        print("%.3f Mevents in %.1f s" % (run["mevents"], run["run_seconds"]))
    run_hook("end", "post", prepost)


def abort_run(verbose: bool = False, prepost: bool = True) -> None:
    """End the run and throw its data away."""
    run_hook("abort", "pre", prepost)
    number = _run()["run_number"]
    _do("abort", "Run %d was aborted; its data are gone" % number if verbose else None)
    run_hook("abort", "post", prepost)


def pause_run(immediate: bool = False, prepost: bool = True) -> None:
    """Stop counting until the run is resumed. With `immediate` the present frame does not count, which is
    a tenth of a second here and not modelled."""
    run_hook("pause", "pre", prepost)
    _do("pause")
    run_hook("pause", "post", prepost)


def resume_run(prepost: bool = True) -> None:
    """Count again after a pause."""
    run_hook("resume", "pre", prepost)
    _do("resume")
    run_hook("resume", "post", prepost)


def updatestore(verbose: bool = False) -> None:
    """Save the data of the run so far, and go on counting."""
    _do("updatestore", "Run %d was saved so far" % _run()["run_number"] if verbose else None)


def change_title(title: str) -> None:
    """Set the title of the run."""
    instrument().do("settings", title=title)
    _do("title")


def change(
    title: Optional[str] = None, users: Optional[str] = None, rb: Optional[str] = None,
    period: Optional[int] = None, nperiods: Optional[int] = None,
) -> None:
    """Set what describes the run; the periods only between runs."""
    given = {"title": title, "users": users, "rb": rb, "period": period, "periods": nperiods}
    values = {key: value for key, value in given.items() if value is not None}
    if period is not None:
        periods = nperiods if nperiods is not None else _run()["periods"]
        if period > periods:
            raise OutOfRange("there is no period %d: the run has %d; give nperiods as well" % (period, periods))
    instrument().do("settings", **values)
    _do("change")


def change_sample_par(name: str, value: Any) -> None:
    """Set a property of the sample: its geometry, or its width, height or thickness in mm."""
    if name != "geometry":
        try:
            value = float(value)
        except (TypeError, ValueError):
            raise OutOfRange("%s is a number of mm, not %r" % (name, value)) from None
        if not 0 < value <= 1000:
            raise OutOfRange("%s is more than 0 and at most 1000 mm, not %g mm" % (name, value))
    elif not re.fullmatch(r"[A-Za-z][\w ]*", str(value)):
        raise OutOfRange("the geometry is a word such as FLAT_PLATE or CYLINDRICAL, not %r" % (value,))
    instrument().do("settings", sample={name: value})
    _do("sample_par")


def change_tcb(
    low: Optional[float] = None, high: Optional[float] = None, step: Optional[float] = None,
    trange: int = 1, log: bool = False, regime: int = 1,
) -> None:
    """Set the time channels; what is left out stays."""
    ranges = dict(_run()["settings"].get("tcb", {}))
    key = "%d/%d" % (regime, trange)
    before = ranges.get(key, {"low": 5.0, "high": 100000.0, "step": 100.0})
    given = {"low": low, "high": high, "step": step}
    channels = {**before, **{name: value for name, value in given.items() if value is not None}, "log": log}
    if not channels["low"] < channels["high"]:
        raise OutOfRange("the time channels begin at %(low)g µs, which is not before their end at %(high)g µs" % channels)
    ranges[key] = channels
    instrument().do("settings", tcb=ranges)
    _do("tcb")


def change_tables(
    wiring: Optional[str] = None, detector: Optional[str] = None, spectra: Optional[str] = None
) -> None:
    """Load other tables; what is left out stays."""
    given = {"wiring": wiring, "detector": detector, "spectra": spectra}
    tables = {**_run()["settings"].get("tables", {}), **{name: path for name, path in given.items() if path}}
    _do("tables")
    instrument().do("settings", tables=tables)


def change_monitor(spec: int, low: float, high: float) -> None:
    """Choose the monitor spectrum and its range in µs."""
    if not low < high:
        raise OutOfRange("the range of the monitor begins at %g µs, which is not before its end at %g µs" % (low, high))
    instrument().do("settings", monitor={"spec": spec, "low": low, "high": high})
    _do("monitor")


def change_vetos(clearall: bool = False, **vetos: Optional[bool]) -> None:
    """Switch vetoes on and off; `clearall` first switches all of them off."""
    values = {name: False for name in _run()["vetos"]} if clearall else {}
    values.update({name: on for name, on in vetos.items() if on is not None})
    instrument().do("settings", vetos=values)
    _do("vetos")


def change_number_soft_periods(number: int, enable: bool = False) -> None:
    """Set how many periods a run has; `enable` switches them on."""
    instrument().do("settings", periods=number, soft_periods=enable)
    _do("soft_periods")
