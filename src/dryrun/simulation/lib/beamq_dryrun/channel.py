"""The conversation with the server: JSON, one message a line, both ways, on what was standard input."""

import fcntl
import json
import os

# High enough that a script which closes "all" small descriptors does not hit it by accident.
LOWEST_DESCRIPTOR = 200
LONGEST_MESSAGE = 1 << 20
LONGEST_TEXT = 2_000
# What is shown of an argument, in characters.
LONGEST_ARGUMENT = 500


class Channel:
    """Sends, asks and hears. What scripts replace in `json` or `os` later is of no effect here."""

    def __init__(self, descriptor=0):
        self.fd = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR)
        if descriptor == 0:
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.close(nothing)
        else:
            os.close(descriptor)
        self._read, self._write = os.read, os.write
        self._encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=True).encode
        self._decode = json.JSONDecoder().decode
        self._received = b""

    def send(self, say, **fields):
        """Tell something."""
        fields["say"] = say
        data = self._encode(fields).encode("ascii") + b"\n"
        if len(data) > LONGEST_MESSAGE:
            return
        while data:
            data = data[self._write(self.fd, data):]

    def hear(self):
        """The next message; None when the server has gone."""
        while b"\n" not in self._received:
            data = self._read(self.fd, 65536)
            if not data:
                return None
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return self._decode(line.decode("utf-8"))


def plain(value, limit=LONGEST_ARGUMENT):
    """The value as JSON can carry it, or its text."""
    try:
        text = json.dumps(value, allow_nan=False)
        if len(text) <= limit:
            return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        pass
    return cut(safe_text(value, repr), limit)


def number(value):
    """A finite number of Python's own, or None."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found == found and abs(found) != float("inf") else None


def safe_text(value, convert=str):
    """`str(value)`, also for a value whose conversion raises."""
    try:
        return convert(value)
    except Exception:  # A script's own __str__ may do anything.
        return "<%s that cannot be shown>" % type(value).__name__


def cut(text, limit=LONGEST_TEXT):
    """The beginning of a text that is too long."""
    return text if len(text) <= limit else text[:limit] + " …"
