"""A script on virtual time, in a process of its own that the server has confined.

    clock           virtual time, and which thread of the script runs in it
    waits           `time`, `threading`, `select` on that clock; calendar_time: `datetime`
    scratch         where the files go that the script writes
    guard           what is denied, and told
    instrument      the catalogue's hooks, and what they show
    bridge          what the `beamq` module calls
    run             the script, its bounds, its end
    stage           all of these together
    many            a process that is ready, and forks a child for every script

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
    confined = os.environ.pop("BEAMQ_CONFINED", "")
    sealed_by = os.environ.pop("BEAMQ_SEALED_BY", None)
    channel.send("hello", confined=confined)
    wish = channel.hear()
    if wish is None:
        sys.exit(1)
    import faulthandler

    # Where Python is when it crashes, or hangs in compiled code, is told on standard error.
    faulthandler.enable()
    clock = clock_of.Clock()
    tell = []
    set_timer = waits.install(clock, lambda *about: tell[0].find("note", *about))
    from . import calendar_time

    calendar_time.install(clock)
    from .scratch import Scratch

    scratch = Scratch(wish["scratch"])
    from . import stage

    stage.load(wish["catalogue"])
    scratch.install()
    if wish.get("say") == "be_ready":
        from . import many

        channel = many.become_a_child(channel, confined, sealed_by)
        wish = channel.hear()
        if wish is None:
            os._exit(1)
    clock.begin(int(wish["begins_at"] * 1e9), int(wish["virtual_s"] * 1e9))
    scratch.make_folders()
    run, guard = stage.prepare(wish, channel, clock, scratch)
    tell.append(run)

    def begin():
        """The script's own time begins."""
        channel.send("started")
        faulthandler.dump_traceback_later(wish["real_s"] + GRACE, exit=True)
        signal.signal(signal.SIGALRM, run.out_of_real_time)
        set_timer(signal.ITIMER_REAL, wish["real_s"])
        guard.install()

    import signal

    run.run(begin)
