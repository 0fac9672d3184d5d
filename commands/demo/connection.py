"""The connection to the instrument's own process, which is started when it is not there."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Optional

from . import errors, place, script
from .instrument import POLL_EVERY, Instrument

# How long the process may take to come up, and to answer, in seconds.
STARTS_WITHIN = 20.0
ANSWERS_WITHIN = 30.0
# A process that ends at once does so again.
MOST_STARTS = 3


class RemoteInstrument(Instrument):
    """The instrument of a data directory. One exchange is one line of JSON each way."""

    def __init__(self, folder: Optional[Path] = None, start: bool = True) -> None:
        self._folder = folder or place.folder_of()
        self._may_start = start
        self._socket: Optional[socket.socket] = None
        self._received = b""
        self._pid = os.getpid()
        self._speed = 1.0

    def ask(self, what: str, **details: Any) -> Any:
        if self._socket is None or self._pid != os.getpid():
            self._connect()
        try:
            reply = self._exchange({"ask": what, "details": details})
        except (OSError, ValueError):
            # It ended since it was last asked: nothing was done, or its state is saved.
            self.close()
            self._connect()
            reply = self._exchange({"ask": what, "details": details})
        except BaseException:
            # An abort in the middle: an answer that comes late must not be taken for another one.
            self.close()
            raise
        if "error" in reply:
            kind = getattr(errors, reply.get("type", ""), errors.InstrumentError)
            raise kind(reply["error"])
        return reply.get("value")

    def nap(self, left: Optional[float]) -> float:
        # Real seconds until it is met, if that is known; a little later rather than a little earlier.
        soon = POLL_EVERY if left is None else left / self._speed + 0.0002
        before, length = time.monotonic(), min(POLL_EVERY, soon)
        time.sleep(length)
        return self.paused_for(time.monotonic() - before - length)

    def speed(self) -> float:
        return self._speed

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._received = None, b""

    def _exchange(self, request: Any) -> Any:
        assert self._socket is not None
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while b"\n" not in self._received:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("the instrument hung up")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return json.loads(line)

    def _connect(self) -> None:
        self._pid = os.getpid()
        self._socket = self._try_to_connect()
        if self._socket is None:
            if not self._may_start:
                raise errors.InstrumentError(
                    "the simulated instrument of %s is not running; a first command starts it" % self._folder
                )
            self._socket = self._start()
        owner = os.getppid() if script.in_job() else None
        self._speed = self._exchange({"ask": "hello", "details": {"owner": owner}})["value"]["speed"]

    def _try_to_connect(self) -> Optional[socket.socket]:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(ANSWERS_WITHIN)
            connection.connect(place.socket_of(self._folder))
            return connection
        except OSError:
            connection.close()
            return None
        except BaseException:
            connection.close()
            raise

    def _start(self) -> socket.socket:
        """Start the process and connect. Two that start at the same time come to share one."""
        deadline = time.monotonic() + STARTS_WITHIN
        with open(self._folder / "starting", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process, starts = None, 0
            while time.monotonic() < deadline:
                connection = self._try_to_connect()
                if connection is not None:
                    return connection
                if process is None or process.poll() is not None:
                    if starts == MOST_STARTS:
                        break
                    process, starts = self._spawn(), starts + 1
                time.sleep(0.01)  # A file that is not there cannot be waited for.
        log = (self._folder / "log").read_text("utf-8", "replace").strip().splitlines()
        raise errors.InstrumentError(
            "the simulated instrument does not start%s" % (": " + log[-1] if log else " within %g s" % STARTS_WITHIN)
        )

    def _spawn(self) -> "subprocess.Popen[bytes]":
        package = str(Path(__file__).resolve().parent.parent)
        environment = dict(os.environ, PYTHONPATH=package, PYTHONUTF8="1", BEAMQ_OUTLIVES_JOB="1")
        arguments = [sys.executable, "-m", "demo.server", "--folder", str(self._folder)]
        with open(self._folder / "log", "wb") as log:
            # In a session of its own, and with the variable that says so, it outlives the job.
            return subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env=environment, start_new_session=True,
            )
