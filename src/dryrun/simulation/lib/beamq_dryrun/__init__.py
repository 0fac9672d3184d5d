"""A script on virtual time, in a process of its own that the server has confined.

    clock           virtual time, and which thread of the script runs in it
    waits           `time`, `threading`, `select` on that clock; calendar_time: `datetime`
    scratch         where the files go that the script writes
    guard           what is denied, and told
    instrument      the catalogue's hooks, and what they show
    bridge          what the `beamq` module calls
    run             the script, its bounds, its end

The order in which things are replaced matters: modules of the standard library keep functions of others
when they are imported, so as little as possible is imported before.
"""

import os
import sys

from . import clock as clock_of, waits
from .channel import Channel

# Python's own watch acts when the script's time has been over for so long, in seconds: where compiled code
# does not come back. On a busy machine ours comes late as well.
GRACE = 2.0
# A simulation gives way to everything else on the machine: the running job comes first.
NICENESS = 10


def main():
    """Take the wish, run the script, tell how it went."""
    os.nice(NICENESS)
    channel = Channel()
    channel.send("hello", confined=os.environ.pop("BEAMQ_CONFINED", ""))
    wish = channel.hear()
    if wish is None:
        sys.exit(1)
    import faulthandler

    # Where Python is when it crashes, or hangs in compiled code, is told on standard error.
    faulthandler.enable()
    clock = clock_of.Clock(int(wish["begins_at"] * 1e9), int(wish["virtual_s"] * 1e9))
    tell = []
    set_timer = waits.install(clock, lambda *about: tell[0].find("note", *about))
    from . import calendar_time

    calendar_time.install(clock)
    from .scratch import Scratch

    scratch = Scratch(wish["scratch"])
    from .run import Run

    run = Run(wish, channel, clock)
    tell.append(run)
    guard = prepare(wish, channel, clock, scratch, run)

    def begin():
        """The script's own time begins."""
        channel.send("started")
        faulthandler.dump_traceback_later(wish["real_s"] + GRACE, exit=True)
        signal.signal(signal.SIGALRM, run.out_of_real_time)
        set_timer(signal.ITIMER_REAL, wish["real_s"])
        guard.install()

    import signal

    run.run(begin)


def prepare(wish, channel, clock, scratch, run):
    """Make the surroundings of the script. Returns its guard."""
    import beamq
    from beamq import _catalogue, commands

    from .bridge import Bridge, install_steps
    from .guard import Guard
    from .instrument import Instrument

    commands.load(wish["catalogue"])
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
    scratch.install()
    return guard
