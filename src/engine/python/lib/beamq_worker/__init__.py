"""The process in which one job runs. The server starts it ahead of time; it prepares itself, waits for
one job, runs it and ends. Nothing of it is used twice."""

import atexit
import builtins
import gc
import os
import signal
import sys
import time
import warnings

import beamq

from .channel import Channel, cut
from .progress import Progress
from .script import Script
from .steering import FORKED, SIGNAL, Steering
from .watching import Watching, end_with_the_server

LONGEST_REASON = 2_000
# A worker that waits this many seconds for a job is not in a hurry.
IDLE_AFTER = 0.3
# How long the server may take to look at what a worker leaves behind, in seconds.
SEEN_WITHIN = 2.0
# What a limited script may take at least, in bytes: its threads' stacks alone are 8 MiB each.
LEAST_MEMORY = 32 << 20


def main():
    """Prepare, wait for a job, run it."""
    channel = Channel()
    steering = Steering(channel)
    signal.signal(SIGNAL, steering.on_signal)
    # The first to be registered is the last to run.
    atexit.register(part, channel, steering)
    os.register_at_fork(after_in_child=lambda: forget(channel, steering))
    replace_sleep(steering)
    steering_of_others(steering)
    first = next_message(channel)
    gc.enable()
    prepare(channel, first)
    channel.send("ready", python="%d.%d.%d" % sys.version_info[:3])
    if not channel.wait(IDLE_AFTER):
        prepare_for_the_worst()
    while steering.job is None:
        next_message(channel, steering.handle)
    # From here on the job is this worker's, whatever becomes of it.
    channel.send("taken")
    show_crashes()
    if sys.version_info >= (3, 12):
        # It is about the watching thread, which a child can do without; the script has no part in it.
        warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
    builtins.input = steering.questions.ask_line
    sys.stdin = StandardInput(steering.questions.ask_line)
    progress = Progress(channel)
    if steering.job["black_box"]:
        time.sleep = time.sleep.__wrapped__
    Watching(channel, steering, progress).start()
    script = Script(steering.job, channel, steering, progress)
    # What is there before the script is not looked through for garbage again, neither while the script runs
    # nor at the end of the process.
    gc.freeze()
    status = script.run()
    sys.exit(status)


def next_message(channel, handle=None):
    """Wait for something from the server; hand it to `handle`, or return it."""
    taken = []
    while not channel.pump(handle or taken.append):
        if channel.ended:
            end_with_the_server()
        channel.wait(None)
    return taken[0] if taken else None


def part(channel, steering):
    """The last exit function: what is still below this process, which adopts what its descendants leave
    behind, is seen by the server before it is lost from sight."""
    if steering.job is None or steering.phase == FORKED:
        return
    alone = is_alone()
    channel.send("ending", alone=alone)
    deadline = time.monotonic() + SEEN_WITHIN
    while not alone and not steering.seen and not channel.ended and time.monotonic() < deadline:
        channel.wait(0.05)
        channel.pump(steering.handle)


def is_alone():
    """Whether this process has no children."""
    try:
        for task in os.listdir("/proc/self/task"):
            with open("/proc/self/task/%s/children" % task, "rb") as file:
                if file.read().strip():
                    return False
    except OSError:  # A kernel without these files, a thread that has just ended, or no free descriptor.
        return False
    return True


def prepare_for_the_worst():
    """Import what only some scripts need: cells and reports on errors. Workers that are taken at once
    save the time, and import these when it comes to that."""
    scripts_write_none, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    from . import cells, failures  # noqa: F401

    sys.dont_write_bytecode = scripts_write_none


def show_crashes():
    """Have Python say on standard error where it was when compiled code crashes."""
    import faulthandler

    faulthandler.enable()


def prepare(channel, settings):
    """Set the path, import what is to be preloaded, run the start-up scripts. What fails here blocks
    the queue with a reason, because it would fail every job."""
    doing = ""
    try:
        doing = "engine.python.niceness cannot be set"
        os.nice(settings["niceness"])
        sys.path[:0] = settings["path"]
        for name in settings["preload"]:
            doing = "the module %r of engine.python.preload cannot be imported" % name
            __import__(name)
        for path in settings["startup"]:
            doing = "the start-up script %r of engine.python.startup failed" % path
            run_startup(path)
        if settings["memory"] is not None:
            doing = "engine.python.memory cannot be set"
            limit_memory(settings["memory"])
    except BaseException as error:
        import traceback

        channel.send("refused", reason=cut("%s: %s" % (doing, describe(error)), LONGEST_REASON))
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def limit_memory(limit):
    """Bound the address space of this process and of those that it starts. What has been loaded so far
    has to leave room for a script, or every job would fail."""
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    if taken + LEAST_MEMORY > limit:
        raise ValueError(
            "of the %d MiB the interpreter with its preloaded modules takes %d MiB already, and a script "
            "needs %d MiB" % (limit >> 20, taken >> 20, LEAST_MEMORY >> 20)
        )
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def run_startup(path):
    """Run a start-up script in a module of its own, which stays."""
    stem = os.path.splitext(os.path.basename(path))[0]
    name = "beamq_startup_" + stem
    module = type(sys)(name)
    module.__file__ = path
    sys.modules[name] = module
    with open(path, "rb") as file:
        exec(compile(file.read(), path, "exec", dont_inherit=True), module.__dict__)


def describe(error):
    """An error in one line, with the place in the user's file when there is one."""
    import traceback

    text = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()
    place = traceback.extract_tb(error.__traceback__)[-1:] if error.__traceback__ else []
    inside = place and not place[0].filename.startswith(("<frozen", os.path.dirname(__file__)))
    where = " (%s, line %s)" % (place[0].filename, place[0].lineno) if inside else ""
    return (text[-1] if text else type(error).__name__) + where


def replace_sleep(steering):
    """Make `time.sleep` a wait that can be paused; done before anything else is imported, so that
    modules which keep a copy of the function keep this one."""
    original = time.sleep

    def sleep(seconds):
        return steering.time_sleep(seconds)

    sleep.__module__ = "time"
    sleep.__doc__ = original.__doc__
    sleep.__wrapped__ = original
    time.sleep = sleep


def steering_of_others(steering):
    """Let the `nicos` shim find its way before a script runs."""
    beamq._poll = steering.poll


def forget(channel, steering):
    """In a forked child: it is an ordinary process of the script."""
    channel.forget()
    steering.forget()
    beamq._server = None


class StandardInput:
    """Standard input of a script: every line read from it is a question to the clients."""

    encoding = "utf-8"
    errors = "strict"
    closed = False

    def __init__(self, ask_line):
        self._ask_line = ask_line

    def readline(self, _limit=-1):
        """Ask for a line."""
        return self._ask_line() + "\n"

    def __iter__(self):
        return self

    def __next__(self):
        return self.readline()

    def read(self, _limit=-1):
        """There is never more than what is asked for."""
        return ""

    def fileno(self):
        """Standard input proper, which is empty."""
        return 0

    def isatty(self):
        """It is not a terminal."""
        return False

    def readable(self):
        """Lines can be read."""
        return True

    def close(self):
        """Nothing to close."""
