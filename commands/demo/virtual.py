"""The commands on virtual time, for dry runs: what a catalogue's key `simulate` names.

They are the commands themselves, driving an instrument in this process. It follows `time.monotonic` and
waits with `time.sleep`, so where these tell a virtual time a wait of hours is over at once and has had all
its effects. Nothing leaves the process.

    virtual.restore(status)     # begin where another instrument is
    virtual.waitfor_uamps(30)   # …
    virtual.state()             # numbers by name, as estimates use them
    virtual.readings()          # what there is to watch, with units
    virtual.status()            # everything, for the next `restore`

A dry run knows these four functions by their names; any instrument's hooks can have them.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Optional

from . import blocks, environment, run_control, technique, waits
from .instrument import LocalInstrument, use

_instrument: Optional[LocalInstrument] = None


def the_instrument() -> LocalInstrument:
    """The instrument that the hooks drive; made when it is first used, at the present time."""
    global _instrument
    if _instrument is None:
        _instrument = LocalInstrument()
    return _instrument


def restore(status: Dict[str, Any]) -> None:
    """Begin in the state that an instrument's `status` told."""
    the_instrument().follow().restore(status)


def state() -> Dict[str, float]:
    """The numbers that describe the instrument now."""
    return the_instrument().state()


def readings() -> Dict[str, Dict[str, Any]]:
    """Devices, counters and consumables by name."""
    return the_instrument().follow().readings()


def status() -> Dict[str, Any]:
    """Everything about the instrument now."""
    return the_instrument().status()


def _on_virtual_time(command: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(command)
    def simulated(**arguments: Any) -> None:
        with use(the_instrument()):
            command(**arguments)

    return simulated


COMMANDS = {
    run_control: (
        "begin", "end", "abort_run", "pause_run", "resume_run", "updatestore", "change_title", "change",
        "change_sample_par", "change_tcb", "change_tables", "change_monitor", "change_vetos",
        "change_number_soft_periods",
    ),
    blocks: ("cset", "waitfor_block", "waitfor_move"),
    waits: (
        "waitfor_time", "waitfor_uamps", "waitfor_frames", "waitfor_raw_frames", "waitfor_mevents",
        "waitfor_runstate",
    ),
    environment: (
        "set_temperature", "set_field", "contrast_change", "inject", "go_to_pressure", "go_to_area", "send_alert",
    ),
    technique: ("do_sans", "do_trans", "run_angle", "scan", "scan_chopper", "set_ei", "set_aperture"),
}
for _module, _names in COMMANDS.items():
    for _name in _names:
        globals()[_name] = _on_virtual_time(getattr(_module, _name))
