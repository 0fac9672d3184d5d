"""The instrument by hand: `python -m demo.console [--data DIR] COMMAND …`.

    status                      what there is to see
    set BLOCK VALUE             put a block somewhere at once
    move BLOCK VALUE            move it there
    trip on|off                 take the beam away, or give it back
    beam-off AFTER SECONDS      plan a time without beam
    refill SOURCE VOLUME        put liquid in (A, B, C, D, syringe; mL)
    run begin|pause|resume|end|abort
    speed FACTOR                seconds of the instrument per second
"""

from __future__ import annotations

import argparse
import sys
from typing import Callable, Dict, List, Optional

from . import place
from .connection import RemoteInstrument
from .errors import InstrumentError


def block_named(instrument: RemoteInstrument, name: str) -> str:
    """The block's own spelling of a name that was typed in any case."""
    names = instrument.status()["axes"]
    return next((known for known in names if known.lower() == name.lower()), name)


def show_status(instrument: RemoteInstrument, _arguments: List[str]) -> None:
    """Print what there is to see."""
    status = instrument.status()
    run, state = status["acquisition"], instrument.state()
    print("run %d is %s: %.3f µA·h, %d frames, %.3f Mevents, title %r" % (
        run["run_number"], status["run_state"], run["uamps"], run["frames"], run["mevents"], run["title"]))
    print("beam %g µA%s" % (state["beam_current"], " (tripped)" if status["beam"]["tripped"] else ""))
    for name, axis in status["axes"].items():
        goes = "" if axis["target"] is None else " moving to %g" % axis["target"]
        print("%-14s %10.3f %s%s" % (name, axis["value"], axis["unit"], goes))
    print("liquids: " + ", ".join("%s %.1f mL" % item for item in status["pump"]["volumes"].items()))


def set_block(instrument: RemoteInstrument, arguments: List[str]) -> None:
    """Put a block somewhere at once."""
    instrument.do("put", block=block_named(instrument, arguments[0]), value=float(arguments[1]))


def move_block(instrument: RemoteInstrument, arguments: List[str]) -> None:
    """Move a block."""
    instrument.do("move", block=block_named(instrument, arguments[0]), value=float(arguments[1]))


def trip(instrument: RemoteInstrument, arguments: List[str]) -> None:
    """Take the beam away or give it back."""
    if arguments[0] not in ("on", "off"):
        raise ValueError("say `trip on` or `trip off`")
    instrument.do("trip", on=arguments[0] == "on")


def beam_off(instrument: RemoteInstrument, arguments: List[str]) -> None:
    """Plan a time without beam."""
    instrument.do("beam_off", after=float(arguments[0]), seconds=float(arguments[1]))


def refill(instrument: RemoteInstrument, arguments: List[str]) -> None:
    """Put liquid in."""
    instrument.do("refill", source=arguments[0], volume=float(arguments[1]))


def run(instrument: RemoteInstrument, arguments: List[str]) -> None:
    """Control the run."""
    instrument.do("start", what=arguments[0])


def speed(instrument: RemoteInstrument, arguments: List[str]) -> None:
    """Change the speed of time."""
    instrument.ask("speed", speed=float(arguments[0]))


COMMANDS: Dict[str, Callable[[RemoteInstrument, List[str]], None]] = {
    "status": show_status, "set": set_block, "move": move_block, "trip": trip, "beam-off": beam_off,
    "refill": refill, "run": run, "speed": speed,
}


def main(arguments: Optional[List[str]] = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(
        prog="demo.console", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="the data directory of the script server")
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args(arguments)
    try:
        instrument = RemoteInstrument(place.folder_of(options.data))
        COMMANDS[options.command](instrument, options.arguments)
    except IndexError:
        parser.error("%s needs more arguments" % options.command)
    except (InstrumentError, ValueError) as error:
        print("error: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
