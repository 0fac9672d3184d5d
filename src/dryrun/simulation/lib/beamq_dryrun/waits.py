"""What a script waits with, on virtual time: `time`, `threading`, `select`, `signal`."""

import sys
import _thread
from collections import deque

def install(clock, note):
    """Replace the functions of the standard library. `note(code, message, hint)` tells of what cannot be
    simulated. To be called before any other module is imported that keeps them. Returns the real
    `signal.setitimer`."""
    install_time(clock)
    install_threads(clock)
    install_select(clock)
    return install_signal(note)


def keep(function, original):
    """Make a replacement look like what it replaces."""
    function.__name__ = getattr(original, "__name__", function.__name__)
    function.__qualname__ = function.__name__
    function.__doc__ = getattr(original, "__doc__", None)
    function.__module__ = getattr(original, "__module__", None)
    return function


# Clocks.


def install_time(clock):
    import time

    def sleep(seconds):
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        clock.sleep(seconds, "time.sleep")

    def of_clock(real, in_ns):
        virtual = {time.CLOCK_REALTIME: clock.time_ns, time.CLOCK_MONOTONIC: clock.monotonic_ns}
        for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC_RAW"):
            if hasattr(time, name):
                virtual[getattr(time, name)] = clock.monotonic_ns

        def clock_gettime(which):
            found = virtual.get(which)
            if found is None:
                return real(which)
            return found() if in_ns else found() / 1e9

        return clock_gettime

    def defaulting(real):
        """For functions whose last argument is the present time when it is left out."""

        def function(*arguments):
            if not arguments or arguments == (None,):
                return real(clock.time())
            return real(*arguments)

        return function

    real_asctime, real_strftime, real_localtime = time.asctime, time.strftime, time.localtime

    def asctime(*moment):
        return real_asctime(*(moment or (real_localtime(clock.time()),)))

    def strftime(form, *moment):
        return real_strftime(form, *(moment or (real_localtime(clock.time()),)))

    replaced = {
        "time": clock.time, "time_ns": clock.time_ns,
        "monotonic": clock.monotonic, "monotonic_ns": clock.monotonic_ns,
        "perf_counter": clock.monotonic, "perf_counter_ns": clock.monotonic_ns,
        "sleep": sleep, "asctime": asctime, "strftime": strftime,
    }
    for name in ("localtime", "gmtime", "ctime"):
        replaced[name] = defaulting(getattr(time, name))
    for name in ("clock_gettime", "clock_gettime_ns"):
        if hasattr(time, name):
            replaced[name] = of_clock(getattr(time, name), name.endswith("_ns"))
    for name, function in replaced.items():
        original = getattr(time, name)
        if not hasattr(function, "__self__"):
            keep(function, original)
        setattr(time, name, function)


# Locks and threads.


def lock_class(clock):
    class Lock:
        """A lock whose waits pass on virtual time."""

        def __init__(self):
            self._locked = False
            self._waiters = deque()

        def acquire(self, blocking=True, timeout=-1):
            if not blocking and timeout != -1:
                raise ValueError("can't specify a timeout for a non-blocking call")
            if timeout < 0 and timeout != -1:
                raise ValueError("timeout value must be a non-negative number")
            if not self._locked:
                self._locked = True
                return True
            if not blocking:
                return False
            task = clock.current
            self._waiters.append(task)
            # Whoever releases it hands it over.
            got = clock.wait(None if timeout == -1 else clock.after(timeout), "a wait for a thread")
            if not got:
                self._waiters.remove(task)
            return got

        def release(self):
            if not self._locked:
                raise RuntimeError("release unlocked lock")
            if self._waiters:
                clock.wake(self._waiters.popleft())
            else:
                self._locked = False

        def locked(self):
            return self._locked

        acquire_lock, release_lock, locked_lock = acquire, release, locked

        def __enter__(self):
            return self.acquire()

        def __exit__(self, *_):
            self.release()

        def _at_fork_reinit(self):
            self._locked = False
            self._waiters.clear()

        def __repr__(self):
            return "<%s lock at %#x>" % ("locked" if self._locked else "unlocked", id(self))

    return Lock


def install_threads(clock):
    lock = lock_class(clock)
    lock.__module__ = "_thread"
    started_before = "threading" in sys.modules
    real_start = _thread.start_new_thread
    ended = {}

    def start_new_thread(function, arguments, keywords=None):
        def body():
            try:
                function(*arguments, **(keywords or {}))
            except SystemExit:
                pass
            finally:
                for sentinel in ended.pop(_thread.get_ident(), ()):
                    if sentinel.locked():
                        sentinel.release()

        return clock.start_thread(body, lambda run: real_start(run, ()))

    def set_sentinel():
        sentinel = lock()
        ended.setdefault(_thread.get_ident(), []).append(sentinel)
        return sentinel

    _thread.allocate_lock = _thread.allocate = lock
    _thread.LockType = lock
    _thread.start_new_thread = _thread.start_new = start_new_thread
    # Locks of the import system and of objects in C stay what they are.
    import threading

    threading._allocate_lock = threading.Lock = lock
    threading._start_new_thread = start_new_thread
    threading._CRLock = None
    if hasattr(threading, "_set_sentinel"):
        threading._set_sentinel = set_sentinel
    if hasattr(threading, "_ThreadHandle"):
        install_handles(clock, threading, lock)
    if started_before:
        for name in ("_active_limbo_lock", "_shutdown_locks_lock"):
            if hasattr(threading, name):
                setattr(threading, name, threading.RLock() if name.startswith("_active") else lock())
    for name in ("_time", "_perf_counter"):
        if hasattr(threading, name):
            setattr(threading, name, clock.monotonic)
    # The queue in C waits with a lock of its own.
    sys.modules.pop("_queue", None)
    sys.modules["_queue"] = None
    import queue

    del sys.modules["_queue"]
    queue.time = clock.monotonic


def install_handles(clock, threading, lock):
    """Python 3.13 and newer know a thread by a handle."""
    real_start = threading._start_joinable_thread

    class Handle:
        """A thread that can be waited for."""

        def __init__(self):
            self.ident = None
            self._running = lock()
            self._done = False

        def is_done(self):
            return self._done

        def _set_done(self):
            self._done = True

        def join(self, timeout=None):
            if self._done:
                return
            if self._running.acquire(True, -1 if timeout is None or timeout < 0 else timeout):
                self._running.release()

    def start_joinable_thread(function, handle=None, daemon=True):
        handle = handle or Handle()
        handle._running.acquire()

        def body():
            handle.ident = _thread.get_ident()
            try:
                function()
            finally:
                handle._done = True
                handle._running.release()

        real = clock.start_thread(body, lambda run: real_start(run, daemon=True))
        handle.ident = real.ident
        return handle

    def make_thread_handle(ident):
        handle = Handle()
        handle.ident = ident
        return handle

    def main_handle():
        return make_thread_handle(threading.main_thread().ident)

    threading._ThreadHandle = Handle
    threading._start_joinable_thread = _thread.start_joinable_thread = start_joinable_thread
    threading._make_thread_handle = make_thread_handle
    if hasattr(threading, "_get_main_thread_handle"):
        threading._get_main_thread_handle = main_handle


# Files that become ready.


def install_select(clock):
    import select

    def ready(look, seconds, what):
        """What `look()` finds at once, or when something has made it ready, or nothing after a time."""
        found = look()
        if any(found) if isinstance(found, tuple) else found:
            return found
        if seconds is not None and seconds <= 0:
            clock.sleep(0, what)
            return look()

        def check():
            found = look()
            return any(found) if isinstance(found, tuple) else bool(found)

        clock.wait(None if seconds is None else clock.after(seconds), what, check)
        return look()

    real_select = select.select

    def virtual_select(readers, writers, errors, timeout=None):
        readers, writers, errors = list(readers), list(writers), list(errors)
        if timeout is not None and timeout < 0:
            raise ValueError("timeout must be non-negative")
        return ready(lambda: real_select(readers, writers, errors, 0), timeout, "a wait for a file")

    select.select = keep(virtual_select, real_select)

    def wrapped(real, per_second):
        class Poller:
            """A poller whose waits pass on virtual time."""

            def __init__(self, *arguments, **keywords):
                self._real = real(*arguments, **keywords)

            def poll(self, timeout=None, *more):
                if timeout is None or timeout < 0:
                    seconds = None
                else:
                    seconds = timeout / per_second
                return ready(lambda: self._real.poll(0, *more), seconds, "a wait for a file")

            def __getattr__(self, name):
                return getattr(self._real, name)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                close = getattr(self._real, "close", None)
                if close is not None:
                    close()

        Poller.__name__ = Poller.__qualname__ = real.__name__
        return Poller

    if hasattr(select, "poll"):
        select.poll = wrapped(select.poll, 1_000)
    if hasattr(select, "epoll"):
        real_epoll = select.epoll

        class Epoll(wrapped(real_epoll, 1)):
            def poll(self, timeout=None, maxevents=-1):
                return super().poll(timeout, maxevents)

        select.epoll = Epoll
    if "selectors" in sys.modules:
        import importlib

        importlib.reload(sys.modules["selectors"])


# Signals.


def install_signal(note):
    import signal

    def refused(name):
        def function(*_):
            note(
                "not_simulated", "signal.%s measures real time, which a dry run has none of" % name,
                "the dry run goes on as if it had not been called",
            )
            return 0 if name == "alarm" else (0.0, 0.0)

        return keep(function, getattr(signal, name))

    real = signal.setitimer
    for name in ("alarm", "setitimer"):
        setattr(signal, name, refused(name))
    return real
