"""The private channel to the server: JSON, one message a line, both ways.

The server hands it over as standard input. It is moved to a high descriptor that children do not
inherit, and standard input becomes empty, so that neither a script nor what it starts can see it.
"""

import fcntl
import json
import os
import select
import threading
from _thread import allocate_lock, get_ident

# High enough that a script which closes "all" small descriptors does not hit the channel by accident.
LOWEST_DESCRIPTOR = 200
LONGEST_MESSAGE = 1 << 20
MAIN_THREAD = threading.main_thread().ident


class Deferral:
    """Keeps the signal handler from acting while the main thread is in a place that must not be left
    half way, such as the writing of a message. What was asked meanwhile happens on the way out."""

    def __init__(self):
        self.depth = 0
        self.pending = False
        self.act = lambda frame_depth: None

    def __enter__(self):
        if get_ident() == MAIN_THREAD:
            self.depth += 1

    def __exit__(self, *_):
        if get_ident() == MAIN_THREAD:
            self.depth -= 1
            if self.depth == 0 and self.pending:
                self.pending = False
                self.act(1)


class Channel:
    """Sends from any thread; receives in whichever thread calls `pump`."""

    def __init__(self):
        self.fd = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.set_blocking(self.fd, False)
        self.deferral = Deferral()
        self.ended = False
        self.closed_here = False
        self._mute = False
        self._received = bytearray()
        self._receiving = allocate_lock()
        self._sending = allocate_lock()

    def send(self, say, **fields):
        """Send a message. What is said after the channel was lost goes nowhere."""
        fields["say"] = say
        text = json.dumps(fields, ensure_ascii=False, allow_nan=False)
        # "replace", because text that came from odd file names can hold what UTF-8 cannot.
        data = memoryview(text.encode("utf-8", "replace") + b"\n")
        if len(data) > LONGEST_MESSAGE:
            raise ValueError("a message of %d bytes is too long for the server" % len(data))
        with self.deferral:
            with self._sending:
                while data and not self._mute:
                    try:
                        data = data[os.write(self.fd, data):]
                    except BlockingIOError:
                        poller = select.poll()
                        poller.register(self.fd, select.POLLOUT)
                        poller.poll(1000)
                    except OSError:
                        # Whether the server is gone or the script closed the descriptor shows in `pump`.
                        self._mute = True

    def pump(self, handle, wait=False):
        """Hand every message that has arrived to `handle`. Returns whether there was any. When another
        thread is at it, that one will take the messages; `wait` until it has."""
        if not self._receiving.acquire(wait):
            return False
        try:
            any_message = False
            while not self.ended:
                try:
                    data = os.read(self.fd, 65536)
                except BlockingIOError:
                    break
                except OSError:
                    # The script closed the descriptor. The server sees that and ends the job.
                    self.ended = self.closed_here = True
                    break
                if not data:
                    self.ended = True
                    break
                self._received += data
                if b"\n" not in data:
                    continue
                *lines, rest = bytes(self._received).split(b"\n")
                self._received = bytearray(rest)
                for line in lines:
                    any_message = True
                    try:
                        message = json.loads(line)
                    except ValueError:
                        continue  # Cut off, when a server gave up on a worker that did not read.
                    handle(message)
            return any_message
        finally:
            self._receiving.release()

    def wait(self, seconds):
        """Wait until something arrives, at most this long. Returns whether it did."""
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        return bool(poller.poll(None if seconds is None else seconds * 1000))

    def forget(self):
        """In a forked child: the channel belongs to the parent alone."""
        self.ended = self._mute = True
        # The watching thread, which does not exist in the child, may have held them at the fork.
        self._receiving = allocate_lock()
        self._sending = allocate_lock()
        try:
            os.close(self.fd)
        except OSError:
            pass


def plain(value):
    """The value as something JSON can carry; what it cannot carry becomes its text."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return cut(safe_text(value, repr), 1000)


def safe_text(value, convert=str):
    """`str(value)`, also for a value whose conversion raises."""
    try:
        return convert(value)
    except Exception:  # A script's own __str__ may do anything.
        return "<%s that cannot be shown>" % type(value).__name__


def cut(text, limit):
    """The text, with the middle left out when it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return "%s … (%d characters left out) … %s" % (text[:half], len(text) - 2 * half, text[-half:])
