"""Runs one script as `__main__`, in a namespace of its own."""

import builtins
import linecache
import os
import sys
import threading

import beamq

from .bridge import Bridge
from .channel import cut, safe_text

# How many remarks on the markers of a script are worth reading.
MOST_NOTES = 20


def file_name(name):
    """The script's file name in tracebacks, made of the job's name."""
    name = "".join("_" if c < " " or c in "/\\<>" else c for c in name).strip() or "script"
    return name if name.endswith(".py") else name + ".py"


def bare_report(error):
    """A report that needs nothing but the error."""
    report = {"type": type(error).__name__, "message": "", "phase": "run", "traceback": []}
    try:
        report["message"] = cut(safe_text(error), 1_000)
    except BaseException:  # The type alone is better than nothing.
        pass
    return report


def note_errors_of_threads(bridge):
    """An exception that ends a thread is printed and the script goes on: have it counted as well."""
    show = threading.excepthook

    def hook(arguments):
        show(arguments)
        if arguments.exc_value is not None and not isinstance(arguments.exc_value, (SystemExit, beamq.Abort)):
            name = getattr(arguments.thread, "name", "unknown")
            bridge.report_error(arguments.exc_value, "thread %s" % name, {})

    threading.excepthook = hook


class Script:
    """A job's script, from source to outcome."""

    def __init__(self, job, channel, steering, progress):
        self._channel = channel
        self._steering = steering
        self._progress = progress
        self._file = file_name(job["name"])
        self._source = job["source"].lstrip("\ufeff")
        self._black_box = job["black_box"]
        self._job = job
        self._cells = []
        self._bridge = None
        # Without a descriptor nothing can be imported, and a script may have used up all of them.
        self._reserve = os.open(os.devnull, os.O_RDONLY)

    def run(self):
        """Run the script to its end and tell the server how it went. Returns the exit status for the
        process."""
        linecache.cache[self._file] = (len(self._source), None, self._source.splitlines(True), self._file)
        try:
            code = self._compile()
        except BaseException as error:  # Whatever the compiler raises is about the script.
            return self._finish(self._show_and_report(error, "report_of_compilation", self._source))
        namespace = self._prepare()
        self._channel.send("started")
        failure = None
        try:
            try:
                self._steering.begin(self._file, self._black_box)
                exec(code, namespace)
            finally:
                self._steering.end()
        except BaseException as error:
            failure = error
        return self._end(failure)

    def _compile(self):
        tree_or_source = self._source
        if not self._black_box and "%%" in self._source:
            from . import cells as cells_of

            self._cells, notes = cells_of.find_cells(self._source)
            for note in notes[:MOST_NOTES]:
                self._channel.send("note", text=note)
            if len(notes) > MOST_NOTES:
                self._channel.send("note", text="%d more remarks on cell markers" % (len(notes) - MOST_NOTES))
        if self._cells:
            import ast

            # Compiled as it is first, so that errors are those of the script as it was written.
            compile(self._source, self._file, "exec", dont_inherit=True)
            tree_or_source = cells_of.insert_cells(ast.parse(self._source, self._file), self._cells)
        return compile(tree_or_source, self._file, "exec", dont_inherit=True)

    def _prepare(self):
        """Make the surroundings of a fresh `python script.py`."""
        main = type(sys)("__main__")
        main.__file__ = self._write()
        main.__builtins__ = builtins
        main.__dict__.pop("__loader__", None)
        main.__loader__ = None
        sys.modules["__main__"] = main
        sys.argv = [self._file]
        os.chdir(self._job["directory"])
        bridge = self._bridge = Bridge(self._channel, self._steering, self._progress, self._cells)
        beamq._server = bridge
        beamq.job = beamq.Job(
            id=self._job["job"],
            name=self._job["name"],
            owner=self._job["owner"],
            tags=tuple(self._job["tags"]),
            group=self._job["group"],
        )
        note_errors_of_threads(bridge)
        if self._cells:
            from .cells import CALL

            setattr(builtins, CALL, bridge.enter_cell)
        return main.__dict__

    def _write(self):
        """The script as a file, for what starts a Python anew and runs the script there, as `multiprocessing`
        does unless it forks. Returns its path."""
        folder = self._job["script_folder"]
        for name in (self._file, "script.py"):  # A job's name can be too long for a file.
            path = os.path.join(folder, name)
            try:
                os.makedirs(folder, exist_ok=True)
                with open(path, "w", encoding="utf-8", newline="") as file:
                    file.write(self._source)
                return path
            except (OSError, ValueError):  # Hardly any script needs it.
                continue
        return self._file

    def _end(self, error):
        """Show what went wrong as Python would, and report it."""
        if error is None:
            return self._finish(None)
        if isinstance(error, SystemExit):
            if error.code is None or (isinstance(error.code, int) and error.code & 0xFF == 0):
                return self._finish(None, error=error)
            report = self._show_and_report(error, "report_of_exit", self._file)
            return self._finish(report, report.get("exit_code", 1), error)
        report = self._show_and_report(error, "report_of_error", self._file, self._source)
        return self._finish(report, error=error)

    def _show_and_report(self, error, make, *details):
        """Print what went wrong and make the report on it. A script can have left Python in a state in
        which hardly anything works; then the report is bare."""
        try:
            os.close(self._reserve)
        except OSError:
            pass  # The script has closed everything.
        try:
            from . import failures

            failures.show(error)
            return getattr(failures, make)(error, *details)
        except BaseException:  # Everything is better than losing the script's own error.
            return bare_report(error)

    def _finish(self, report, status=None, error=None):
        if status is None:
            status = 0 if report is None else 1
        self._tell_where(error, report)
        self._flush()
        calls = None if self._bridge is None else self._bridge.calls
        errors = [] if calls is None else calls.errors(error)
        command = None if calls is None or report is None else calls.in_progress(error)
        if command is not None:
            report["command"] = command
        self._channel.send("finished", report=report, status=status, command_errors=errors)
        return status

    def _tell_where(self, error, report):
        if self._bridge is None:  # It never ran.
            return
        try:
            if report is None:
                self._progress.send()
            else:
                self._progress.stop_at(error, report.get("line"))
        except Exception:  # What a script has broken must not keep its end from being told.
            pass

    @staticmethod
    def _flush():
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:  # The script may have closed or replaced it.
                pass
