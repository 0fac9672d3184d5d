"""The surroundings of a script: what it finds in place of the instrument. To be imported when virtual time is
there, since modules of the standard library come with it."""

import os
import sys

import beamq
from beamq import _catalogue, commands

from .bridge import Bridge, install_steps
from .guard import Guard
from .instrument import Instrument
from .run import Run


def load(file):
    """Take the commands of the catalogue from its file."""
    commands.load(file)


def prepare(wish, channel, clock, scratch):
    """Make the surroundings of one script. Returns its run and its guard."""
    run = Run(wish, channel, clock)
    specs = commands._loaded.specs
    sys.path[:0] = wish["path"]
    hooks = {spec["simulate"].partition(":")[0] for spec in specs.values() if spec.get("simulate")}
    implementations = {spec["implementation"].partition(":")[0] for spec in specs.values()} - hooks
    guard = Guard(wish["hardware"], implementations, scratch, run.denied)
    instrument = Instrument(clock, guard, wish.get("start"))
    bridge = Bridge(run, clock, channel, instrument, guard)
    _catalogue._Call._find = lambda call: bridge.simulated(call.name, call.spec)
    install_steps(bridge, run)
    run.attach(bridge, instrument)
    beamq._poll = lambda _level: None
    clock.on_advance = bridge.advanced
    clock.on_end_of_time = run.end_of_time
    clock.on_deadlock = run.deadlock
    os.chdir(scratch.work)
    return run, guard
