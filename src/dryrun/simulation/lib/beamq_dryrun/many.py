"""A process that is ready for any script, and forks a child for each: so a hundred scripts load Python once.

Nothing but our own code and the standard library has run in it when it forks, and nothing of a script ever
does: a child knows what every other child knows. The server asks for one child at a time. It is confined as
this process is, and seals itself off with what this process must be allowed: other processes, and signals to
them. What a child has written is removed by the server before it asks for the next.
"""

import _socket
import ctypes
import gc
import importlib
import os
import signal
import struct

from .channel import Channel

# What the hooks of instruments import, and scripts: it need not be loaded again for every child. It is
# imported when the time is virtual, as it would be by them.
OFTEN_NEEDED = (
    "collections", "contextlib", "copy", "dataclasses", "datetime", "enum", "functools", "inspect", "itertools",
    "json", "linecache", "math", "pathlib", "random", "re", "string", "traceback", "typing", "warnings",
)
# Orders of the server, a byte each.
FORK, END = b"F", b"E"
# `PR_SET_PDEATHSIG`, `PR_SET_SECCOMP`, `SECCOMP_MODE_FILTER`: numbers that no module of Python has.
END_WITH_PARENT, SET_SECCOMP, FILTER = 1, 22, 2
# An instruction of a filter: code, two jumps, a value. A value of this is to be the number of the process.
INSTRUCTION = struct.Struct("=HBBI")
OUR_NUMBER = 0x7FFFFFFE


def become_a_child(channel, confined, sealed_by):
    """Fork a child whenever the server says so. Returns in the child, with its own channel, and never in this
    process."""
    if not sealed_by or "landlock" not in confined.split():
        # A child could then reach into this process, and by it into the next.
        channel.send("refused", reason="the system cannot keep the scripts apart")
        os._exit(1)
    program = bytes.fromhex(sealed_by)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for name in OFTEN_NEEDED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    channel.send("ready")
    orders = _socket.socket(fileno=channel.fd)
    child = None
    while True:
        order, enclosed, _, _ = orders.recvmsg(1, _socket.CMSG_SPACE(2 * 4))
        if child is not None:
            # However it ended: it is not reaped before, so the number is still its own.
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            child = None
            if order:
                channel.send("ended", status=status)
        if order != FORK:
            if not order:
                os._exit(0)
            continue
        (_, _, data), = enclosed
        control, words = struct.unpack("=ii", data)
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            orders.close()
            prctl(END_WITH_PARENT, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            return begin(control, words, confined, program, prctl)
        os.close(control)
        os.close(words)
        channel.send("forked", pid=child)


def begin(control, words, confined, program, prctl):
    """The first thing that a child does."""
    os.dup2(words, 2)
    os.close(words)
    os.setpgid(0, 0)
    channel = Channel(control)
    if not seal(program, prctl):
        channel.send("refused", reason="the filter of system calls was not taken")
        os._exit(1)
    channel.send("hello", confined=confined)
    return channel


def seal(program, prctl):
    """Have the kernel filter the system calls of this process. Returns whether it does."""
    mine = b"".join(
        INSTRUCTION.pack(code, if_true, if_false, os.getpid() if value == OUR_NUMBER else value)
        for code, if_true, if_false, value in INSTRUCTION.iter_unpack(program)
    )
    kept = ctypes.create_string_buffer(mine, len(mine))
    described = ctypes.create_string_buffer(struct.pack("@HP", len(mine) // INSTRUCTION.size, ctypes.addressof(kept)))
    number = ctypes.c_ulong
    return prctl(SET_SECCOMP, number(FILTER), number(ctypes.addressof(described)), number(0), number(0)) == 0
