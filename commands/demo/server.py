"""The simulated instrument as a process of its own: `python -m demo.server --folder FOLDER`.

It is started by the first command and serves everybody who can reach its socket, which is nobody but the
user. It ends when the script server that uses it has ended, or when nobody has asked it anything for long;
its state is saved, and the next one goes on from there.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import socketserver
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, Optional, Set, Tuple

from . import place
from .errors import InstrumentError
from .simulation import Simulation, answer

# After so many seconds without a question it ends, when no script server stands behind it.
IDLE_WITHOUT_OWNER = 3600.0
# How long it waits for another script server after the last one has gone.
AFTER_OWNER = 2.0
TICK = 0.5
SAVE_EVERY = 5.0
LONGEST_REQUEST = 1 << 20
# How long one that ends may take to save its state.
LOCK_WITHIN = 10.0


class Server:
    """The simulation with a clock."""

    def __init__(self, folder: Path, speed: float) -> None:
        self.folder = folder
        self.speed = speed
        self.simulation = Simulation()
        self._lock = threading.Lock()
        self._seen = self._asked = time.monotonic()
        self._owners: Set[Tuple[int, str]] = set()
        self._owned = False
        self._owner_seen = time.monotonic()
        self._saved_at = time.monotonic()

    def handle(self, request: Dict[str, Any]) -> Dict[str, Any]:
        """Answer a request."""
        with self._lock:
            self._follow()
            self._asked = time.monotonic()
            try:
                return {"value": self._answer(request["ask"], request.get("details") or {})}
            except (InstrumentError, ValueError) as error:
                return {"error": str(error), "type": type(error).__name__}
            except (KeyError, TypeError) as error:
                return {"error": "the request is malformed: %s: %s" % (type(error).__name__, error)}

    def _answer(self, what: str, details: Dict[str, Any]) -> Any:
        if what == "hello":
            owner = details.get("owner")
            if owner is not None:
                self._owners.add((int(owner), started(int(owner)) or ""))
                self._owned = True
            return {"speed": self.speed, "pid": os.getpid()}
        if what == "speed":
            speed = float(details["speed"])
            if not 0 < speed <= 1e6:
                raise ValueError("the speed must lie between 0 and 1e6")
            self.speed = speed
            return speed
        return answer(self.simulation, what, details)

    def _follow(self) -> None:
        now = time.monotonic()
        self.simulation.advance((now - self._seen) * self.speed)
        self._seen = now

    def tick(self) -> bool:
        """Do what is due. Returns whether to go on."""
        now = time.monotonic()
        with self._lock:
            self._follow()
            self._owners = {(pid, since) for pid, since in self._owners if started(pid) == since}
            if self._owners:
                self._owner_seen = now
            if now - self._saved_at >= SAVE_EVERY and self.folder.is_dir():
                self._save()
        if self._owned and not self._owners and now - self._owner_seen > AFTER_OWNER:
            return now - self._asked < AFTER_OWNER
        return bool(self._owners) or now - self._asked < IDLE_WITHOUT_OWNER

    def save(self) -> None:
        """Write the state down for the next process."""
        with self._lock:
            self._follow()
            self._save()

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        aside = self.folder / "state.json.new"
        aside.write_text(json.dumps(self.simulation.status()), "utf-8")
        aside.replace(self.folder / "state.json")

    def load(self) -> None:
        """Go on from what was written down, if it can be read."""
        try:
            self.simulation.restore(json.loads((self.folder / "state.json").read_text("utf-8")))
        except FileNotFoundError:
            pass
        except Exception as error:  # Whatever is wrong with the file, a fresh instrument is better than none.
            print("the saved state is not used: %s: %s" % (type(error).__name__, error), file=sys.stderr)
            self.simulation = Simulation()


def started(pid: int) -> Optional[str]:
    """When a process began, in the kernel's own measure, to tell it from a later one of the same number;
    None when it is not there."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b") ")[2].split(b" ")
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    except (OSError, IndexError):
        if os.path.isdir("/proc/self"):
            return None
    try:  # There is no /proc on this system.
        os.kill(pid, 0)
        return "alive"
    except OSError:
        return None


class Handler(socketserver.StreamRequestHandler):
    """One connection: a line of JSON each way."""

    def handle(self) -> None:
        while True:
            line = self.rfile.readline(LONGEST_REQUEST)
            if not line.endswith(b"\n"):
                return
            try:
                request = json.loads(line)
                reply = self.server.instrument.handle(request)  # type: ignore[attr-defined]
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                reply = {"error": "the request is malformed: %s" % error}
            try:
                self.wfile.write(json.dumps(reply).encode() + b"\n")
            except OSError:
                return


class Listener(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Takes connections, each in a thread."""

    daemon_threads = True


def serve(folder: Path, speed: float) -> int:
    """Serve until it is time to end."""
    lock = open(folder / "lock", "w")  # Kept open: the lock lives as long as the process.
    if not _take(lock):
        return 0  # Another one serves.
    name = place.socket_of(folder)
    if os.path.exists(name):
        os.unlink(name)
    server = Server(folder, speed)
    server.load()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.umask(0o077)
    listener = Listener(name, Handler)
    listener.instrument = server
    (folder / "pid").write_text("%d\n" % os.getpid())
    threading.Thread(target=listener.serve_forever, args=(0.2,), daemon=True).start()
    while not stop.wait(TICK) and server.tick():
        pass
    try:
        os.unlink(name)
        server.save()
    except FileNotFoundError:
        pass  # The data directory was removed, and with it everything that could be saved.
    return 0


def _take(lock: Any) -> bool:
    """Take the lock; one that is just ending is waited for."""
    deadline = time.monotonic() + LOCK_WITHIN
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
        time.sleep(0.05)


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="demo.server", description="The simulated instrument.")
    parser.add_argument("--folder", type=Path, required=True, help="where its socket and its state are")
    parser.add_argument("--speed", type=float, help="seconds of the instrument per second (default 1)")
    options = parser.parse_args()
    speed = options.speed or float(os.environ.get("BEAMQ_DEMO_SPEED") or 1)
    if not 0 < speed <= 1e6:
        parser.error("the speed must lie between 0 and 1e6")
    return serve(options.folder, speed)


if __name__ == "__main__":
    sys.exit(main())
