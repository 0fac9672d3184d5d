"""What a script may not do in a dry run. Every attempt is denied and becomes a finding with its line.

The hooks of this room tell people about it; what keeps a script that works against them from doing it
are the limits of the process, which the server has set before Python began.
"""

import sys

ADVICE = "the dry run cannot show what comes of it; a run of the job can"
# What a script does when Python reports these events, in words.
DENIED = {
    "os.system": "starts a process", "subprocess.Popen": "starts a process", "os.posix_spawn": "starts a process",
    "os.spawn": "starts a process", "os.fork": "starts a process", "os.forkpty": "starts a process",
    "pty.spawn": "starts a process", "os.startfile": "starts a process", "_winapi.CreateProcess": "starts a process",
    "os.exec": "replaces the process by another program",
    "os.kill": "sends a signal to a process", "os.killpg": "sends a signal to a process",
    "signal.pthread_kill": "sends a signal to a thread",
    "socket.connect": "opens a network connection", "socket.bind": "opens a network port",
    "socket.sendto": "sends to the network", "socket.sendmsg": "sends to the network",
    "socket.getaddrinfo": "asks the network for an address", "socket.gethostbyname": "asks the network for an address",
    "socket.gethostbyaddr": "asks the network for an address", "socket.getnameinfo": "asks the network for a name",
    "socket.sethostname": "changes the name of the computer",
    "ctypes.dlsym": "calls compiled code through ctypes", "ctypes.dlsym/handle": "calls compiled code through ctypes",
    "ctypes.call_function": "calls compiled code through ctypes", "ctypes.string_at": "reads memory through ctypes",
    "ctypes.wstring_at": "reads memory through ctypes", "ctypes.cdata": "reads memory through ctypes",
    "ctypes.cdata/buffer": "reads memory through ctypes",
    "syslog.syslog": "writes to the system's log", "webbrowser.open": "opens a browser",
    "resource.setrlimit": "changes the limits of the process", "resource.prlimit": "changes the limits of a process",
    "fcntl.ioctl": "drives a device", "sys.remote_exec": "changes a process",
}
# Events with paths that would be changed, by the places of these among the arguments.
CHANGING = {
    "os.remove": (0,), "os.rmdir": (0,), "os.mkdir": (0,), "os.rename": (0, 1), "os.link": (0, 1),
    "os.symlink": (1,), "os.truncate": (0,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,),
    "os.chflags": (0,), "os.setxattr": (0,), "os.removexattr": (0,), "sqlite3.connect": (0,),
}
# The address family of sockets that stay within the process, as event loops make them.
AF_UNIX = 1


class Denied(PermissionError):
    """A dry run does not do this."""


class Guard:
    """The audit hook of a simulation."""

    def __init__(self, hardware, implementations, scratch, tell):
        self._hardware = frozenset(hardware)
        self._implementations = frozenset(implementations)
        self._scratch = scratch
        # Told (code, message, hint); finds out where the script is by itself.
        self._tell = tell
        # How deep the catalogue's own hooks are on the stack: they may import what they stand in for.
        self.inside_hooks = 0

    def install(self):
        """From here on nothing can take the hook away."""
        sys.addaudithook(self._hook)
        # Imports by `importlib` are no event.
        sys.meta_path.insert(0, self)

    def find_spec(self, module, _path=None, _target=None):
        """Called before a module is looked for: says no, or leaves it to others."""
        self._import(module)

    def deny(self, code, message, hint=ADVICE):
        """Make a finding, and refuse."""
        self._tell(code, message, hint)
        raise Denied("in a dry run: %s" % message)

    def _hook(self, event, arguments):
        if event in DENIED:
            what = DENIED[event]
            self.deny("denied_" + KINDS.get(what, "call"), "the script %s (%s)" % (what, event))
        elif event == "import":
            self._import(arguments[0])
        elif event == "socket.__new__":
            if arguments[1] != AF_UNIX:
                self.deny("denied_network", "the script opens a network connection (socket.socket)")
        elif event == "ctypes.dlopen":
            if arguments[0] is not None:
                self.deny("denied_call", "the script loads compiled code through ctypes (%s)" % (arguments[0],))
        elif event == "open":
            self._open(*arguments[:3])
        elif event in CHANGING:
            for place in CHANGING[event]:
                self._change(event, arguments[place])

    def _import(self, module):
        top = module.partition(".")[0]
        if module in self._hardware or top in self._hardware:
            self.deny(
                "hardware_import", "the script imports %s, which reaches the instrument" % module,
                "call the commands of the catalogue: they are simulated",
            )
        if module in self._implementations and not self.inside_hooks:
            self.deny(
                "hardware_import", "the script imports %s, which carries out commands of the catalogue" % module,
                "import the commands from beamq.commands: they are simulated",
            )

    def _open(self, path, mode, flags):
        if isinstance(path, int):
            return
        writes = flags & 0o3 if isinstance(flags, int) else 0
        if isinstance(mode, str) and any(letter in mode for letter in "wax+"):
            writes = 1
        if isinstance(flags, int) and flags & self._scratch.CHANGING_FLAGS:
            writes = 1
        if writes:
            self._change("open", path)

    def _change(self, event, path):
        if isinstance(path, int):
            return
        if event == "sqlite3.connect" and path in (":memory:", b":memory:", ""):
            return
        if not self._scratch.has(path):
            self.deny(
                "denied_write", "the script changes %s (%s)" % (self._scratch.shown(path), event),
                "open(), os and pathlib write to a scratch folder in a dry run; this way does not",
            )


KINDS = {
    "starts a process": "process", "replaces the process by another program": "process",
    "sends a signal to a process": "process", "sends a signal to a thread": "process",
    "opens a network connection": "network", "opens a network port": "network", "sends to the network": "network",
    "asks the network for an address": "network", "asks the network for a name": "network",
}
