"""Blocks: set values, and wait for them."""

from __future__ import annotations

from typing import List, Optional

from .errors import InstrumentError
from .instrument import instrument


def cset(
    block: str, value: Optional[float] = None, runcontrol: Optional[bool] = None,
    lowlimit: Optional[float] = None, highlimit: Optional[float] = None, wait: bool = False,
) -> None:
    """Set a block, its run control, or both."""
    if wait and runcontrol is not None:
        raise InstrumentError("cset either waits or sets run control; use waitfor_block or waitfor_move after it")
    link = instrument()
    if runcontrol is not None or lowlimit is not None or highlimit is not None:
        link.do("run_control", block=block, on=runcontrol, low=lowlimit, high=highlimit)
    elif value is None:
        raise InstrumentError("cset needs a value for %s, or its run control" % block)
    if value is not None:
        link.do("move", block=block, value=value)
    if wait:
        link.wait({"for": "motion", "blocks": [block]})


def waitfor_block(
    block: str, value: Optional[float] = None, lowlimit: Optional[float] = None,
    highlimit: Optional[float] = None, maxwait: Optional[float] = None,
) -> None:
    """Wait until a block has a value, or lies within limits."""
    low, high = (value, value) if value is not None else (lowlimit, highlimit)
    if low is None and high is None:
        raise InstrumentError("waitfor_block needs a value, or lowlimit, highlimit or both")
    if low is not None and high is not None and low > high:
        raise InstrumentError("lowlimit %g is above highlimit %g" % (low, high))
    if not instrument().wait({"for": "block", "block": block, "low": low, "high": high}, maxwait):
        print("%s has not arrived; going on" % block)


def waitfor_move(
    blocks: Optional[List[str]] = None, start_timeout: float = 2.0, move_timeout: Optional[float] = None
) -> None:
    """Wait until nothing moves any more; give a move `start_timeout` seconds to begin."""
    link = instrument()
    if link.wait({"for": "moving", "blocks": blocks}, start_timeout):
        if not link.wait({"for": "motion", "blocks": blocks}, move_timeout):
            print("something still moves; going on")
