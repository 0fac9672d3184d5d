"""Stands in for the part of NICOS that instrument libraries use from scripts.

Libraries that were made for NICOS call `session.breakpoint(level)` in their waiting loops. Here that
call is where a pause, an abort or a skip takes effect.
"""

import logging

import beamq

BREAK_AFTER_LINE = 1
BREAK_AFTER_STEP = 2
BREAK_NOW = 3


def _make_log() -> logging.Logger:
    """A logger whose remarks are seen: Python shows nobody's below a warning unless told to."""
    log = logging.getLogger("nicos")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    return log


class Session:
    """The session that scripts and libraries see."""

    log = _make_log()

    def breakpoint(self, level: int) -> None:
        """Act on a pause, an abort or a skip that has been asked for.

        `level` says where the caller is: 1 between two lines, 2 between two steps, 3 within a wait.
        Raises `beamq.WaitSkipped` when the wait is to be skipped, `beamq.Abort` when the job is to end.
        """
        beamq._poll(level)


session = Session()
