"""What a script can tell its script server, and ask of it.

Everything here also works without a server: then a script runs as it would in Spyder or from a shell,
`sleep` sleeps, `ask` asks on the terminal, and the rest does nothing.

    import beamq

    for angle in beamq.track([0.5, 1.0, 2.0], text="angles"):
        measure(angle)
        beamq.pause_point()
"""

from __future__ import annotations

import time as _time
from collections import namedtuple as _namedtuple

# Type checkers take this for true; a worker starts faster without the module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator, Optional, Sequence, TypeVar

    _Item = TypeVar("_Item")

__all__ = [
    "Abort", "CommandArgumentError", "Job", "WaitSkipped", "ask", "checkpoint", "in_dry_run", "job", "note",
    "pause_point", "progress", "report_error", "sleep", "step", "track", "waiting",
]


class Abort(BaseException):
    """The job is to end. Let it pass: `finally` blocks run, and what they do is waited for."""


class WaitSkipped(Exception):
    """Somebody skipped the wait of a library function. Raised where the wait polls; catch it around
    the call to go on after it."""


class CommandArgumentError(Exception):
    """A command of the catalogue was called with something that it does not take; nothing has moved.

    `command`, `parameter` and `value` say what, `allowed` what would be taken, `hint` what to try. It is
    also a TypeError (a wrong type, a missing or unknown parameter) or a ValueError (out of the limits)."""

    def __init__(
        self, message: str, command: str, parameter: Optional[str] = None, value: Any = None,
        allowed: Optional[str] = None, hint: Optional[str] = None,
    ) -> None:
        parts = [message, "allowed: " + allowed if allowed else None, hint]
        super().__init__("; ".join(part for part in parts if part))
        self.command = command
        self.parameter = parameter
        self.value = value
        self.allowed = allowed
        self.hint = hint


class CommandArgumentTypeError(CommandArgumentError, TypeError):
    """A wrong type, or a parameter that is missing or unknown."""


class CommandArgumentValueError(CommandArgumentError, ValueError):
    """A value out of the limits or choices."""


class Job(_namedtuple("Job", ("id", "name", "owner", "tags", "group"))):
    """The job that runs this script: `id`, `name` and `owner` as text, `tags` as a tuple of texts, and
    `group`, the series it belongs to, or None."""

    __slots__ = ()


job: Optional[Job] = None
"""The job that runs this script; None outside the server."""

in_dry_run: bool = False
"""Whether the script is only being judged, on virtual time and without an instrument."""

# Set by the server's worker.
_server: Any = None


def _poll(_level: int) -> None:
    """Outside the server nobody asks for anything."""


def progress(done: float, total: Optional[float] = None, text: Optional[str] = None) -> None:
    """Say how far the script is: `done` of `total`, or `done` per cent when there is no total."""
    if _server is not None:
        _server.progress(done, total, text)


class step:
    """Say what the script does now.

    As a plain call, `step("Cool down")`, it holds until the next step. As a context manager,
    `with step("Cool down"):`, the step before comes back at its end. `estimate` is for people and for
    dry runs: seconds, or a text such as "10 min".
    """

    def __init__(self, name: str, estimate: Any = None) -> None:
        self.name = name
        self.estimate = estimate
        self._before = _server.step(name) if _server is not None else None

    def __enter__(self) -> "step":
        return self

    def __exit__(self, _kind: Any, error: Any, _trace: Any) -> None:
        if _server is not None:
            _server.leave_step(self._before, error)


def pause_point(text: Optional[str] = None) -> None:
    """A good place to pause. Returns at once unless a pause has been asked for."""
    if _server is not None:
        _server.pause_point(text)


def checkpoint(name: str, **values: Any) -> None:
    """Note in the job's record that this point was reached, with some values."""
    if _server is not None:
        _server.checkpoint(name, values)


def sleep(seconds: float) -> None:
    """Wait. Can be paused and skipped; time spent paused does not count."""
    if not seconds >= 0:  # Also for what is no number.
        raise ValueError("sleep length must be non-negative")
    if _server is None or not _server.sleep(seconds):
        _time.sleep(seconds)


def ask(
    text: str,
    default: Any = ...,
    choices: Optional[Sequence[Any]] = None,
    timeout: Optional[float] = None,
) -> Any:
    """Ask the people at the instrument and wait for the answer.

    Raises TimeoutError when nobody answers within `timeout` seconds (or the server's own limit) and
    there is no default.
    """
    if _server is not None:
        return _server.ask(text, default, choices, timeout)
    offered = "" if choices is None else " (%s)" % ", ".join(str(choice) for choice in choices)
    usual = "" if default is ... else " [%s]" % (default,)
    try:
        answer = input("%s%s%s: " % (text, offered, usual))
    except EOFError:
        if default is ...:
            raise
        return default
    if not answer and default is not ...:
        return default
    for choice in choices or ():
        if str(choice) == answer:
            return choice
    return answer


def waiting(text: Optional[str] = None) -> None:
    """For the code of commands that wait: say what is still waited for, such as "12.3 of 30 µA·h", and let
    a pause, a skip or an abort take effect. Call it in every turn of the loop that waits, some ten times a
    second. Raises WaitSkipped when somebody skipped the wait, Abort when the job is to end."""
    if _server is not None:
        _server.waiting(text)


def report_error(exception: Any, command: Optional[str] = None, **arguments: Any) -> None:
    """For libraries that print an error and go on: have it counted. The job then ends as
    `succeeded_with_errors`, or fails, as the configuration says; never as a plain success.

    `exception` is an exception or a text; `command` and `arguments` say what was called, if that was not a
    command of the catalogue, which is known."""
    if _server is not None:
        _server.report_error(exception, command, arguments)


def note(text: str) -> None:
    """Put a remark into the job's output and show it with the progress."""
    if _server is not None:
        _server.note(text)


def track(
    iterable: Iterable[_Item], total: Optional[int] = None, text: Optional[str] = None
) -> Iterator[_Item]:
    """Go through `iterable` and let the progress follow. `total` is needed when it has no length."""
    if _server is None:
        return iter(iterable)
    if total is None:
        try:
            total = len(iterable)  # type: ignore[arg-type]
        except TypeError:
            total = None
    return _server.track(iterable, total, text)


def __getattr__(name: str) -> Any:
    """The catalogue's commands are read when they are first used."""
    if name == "commands":
        import importlib

        return importlib.import_module("beamq.commands")
    raise AttributeError("module 'beamq' has no attribute %r" % name)
