"""Turns what went wrong in a script into a report that a scientist can act on."""

import linecache
import os
import sys
import traceback
import types
from opcode import opname

import beamq

from . import hints
from .channel import cut, safe_text

OUR_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)
LONGEST_MESSAGE = 10_000
LONGEST_LINE = 500
MOST_FRAMES = 50
MOST_CAUSES = 10


def show(error):
    """Print the error the way Python prints an uncaught one, without the frames of the worker."""
    if isinstance(error, SystemExit):
        message = exit_code(error)[1]
        if message is not None and sys.stderr is not None:
            print(message, file=sys.stderr)
        return
    error.__traceback__ = without_worker(error.__traceback__)
    if sys.excepthook is not sys.__excepthook__:
        try:
            sys.excepthook(type(error), error, error.__traceback__)
            return
        except BaseException:  # A hook of the script may do anything.
            pass
    # People have asked for it, and the report says where the script was; NICOS writes nothing of it, either.
    if isinstance(error, beamq.Abort):
        return
    # The built-in hook reads the source from a file in older Pythons; this one knows the script's text.
    traceback.print_exception(type(error), error, error.__traceback__)


def without_worker(trace):
    """The same traceback without the frames of the worker."""
    kept = [entry for entry in entries(trace) if not is_ours(entry.tb_frame.f_code.co_filename)]
    rebuilt = None
    for entry in reversed(kept):
        rebuilt = types.TracebackType(rebuilt, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return rebuilt


def is_ours(file):
    """Whether a file belongs to the worker and not to the user."""
    return file.startswith((OUR_FOLDER + os.sep, "<frozen importlib", "<frozen runpy"))


def is_installed(file):
    """Whether a file belongs to Python or to an installed package."""
    return file.startswith(STANDARD_LIBRARY) or any(folder in file for folder in INSTALLED)


def report_of_compilation(error, source):
    """The report on a script that cannot be compiled."""
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    report = begin_report(error, "syntax")
    if isinstance(error, SyntaxError):
        report["message"] = cut(safe_text(error.msg), LONGEST_MESSAGE)
    if line:
        report["line"] = line
        report["text"] = line_of(source, line)
        if error.offset and error.offset > 0:
            report["column"] = error.offset
    return with_hint(report, error, source)


def report_of_exit(error, script_file):
    """The report on a script that ended itself with an exit code other than 0."""
    code, message = exit_code(error)
    report = begin_report(error, "run")
    report["message"] = message or "the script ended itself with exit code %d" % code
    report["exit_code"] = code
    report["traceback"] = user_frames(error.__traceback__)
    locate(report, error.__traceback__, script_file)
    return report


def report_of_error(error, script_file, source):
    """The report on an exception that nobody caught."""
    report = begin_report(error, "import" if at_import(error.__traceback__, script_file) else "run")
    # Where a script hung that had to be aborted is most often in a library.
    report["traceback"] = user_frames(error.__traceback__, with_libraries=isinstance(error, beamq.Abort))
    report["causes"] = causes_of(error)
    locate(report, error.__traceback__, script_file)
    if isinstance(error, SyntaxError) and error.lineno:
        report["message"] += " (%s, line %d)" % (error.filename, error.lineno)
    return with_hint(report, error, source)


def begin_report(error, phase):
    return {
        "type": name_of(error),
        "message": cut(message_of(error), LONGEST_MESSAGE),
        "phase": phase,
        "traceback": [],
    }


def with_hint(report, error, source):
    try:
        hint = hints.hint_for(error, source)
    except Exception:  # A hint is a courtesy; the report must not depend on it.
        hint = None
    if hint is not None:
        report["hint"] = cut(hint, LONGEST_LINE)
    return report


def name_of(error):
    """The type as people know it: without the module for what is built in or the script's own."""
    kind = type(error)
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__", "beamq") else "%s.%s" % (module, kind.__qualname__)


def message_of(error):
    # The text of a KeyError is the repr of its key, which alone says little.
    text = safe_text(error)
    return "no such key: " + text if type(error) is KeyError and error.args else text


def exit_code(error):
    """The exit code and the message of a SystemExit, as Python treats it."""
    code = error.code
    if code is None:
        return 0, None
    if isinstance(code, int):
        return code & 0xFF, None
    return 1, cut(safe_text(code), LONGEST_MESSAGE)


def entries(trace):
    while trace is not None:
        yield trace
        trace = trace.tb_next


def user_frames(trace, with_libraries=False):
    """The frames that are the user's own, outermost first; those of installed libraries only when they are
    wanted, or there is nothing else."""
    frames = [entry for entry in entries(trace) if not is_ours(entry.tb_frame.f_code.co_filename)]
    own = [entry for entry in frames if not is_installed(entry.tb_frame.f_code.co_filename)]
    if own and not with_libraries:
        frames = own
    if len(frames) > MOST_FRAMES:
        frames = frames[: MOST_FRAMES // 2] + frames[-MOST_FRAMES // 2:]
    return [describe_frame(entry) for entry in frames]


def describe_frame(entry):
    code = entry.tb_frame.f_code
    text = linecache.getline(code.co_filename, entry.tb_lineno, entry.tb_frame.f_globals)
    return {
        "file": code.co_filename,
        "line": entry.tb_lineno,
        "function": code.co_name,
        "text": cut(text.strip(), LONGEST_LINE),
    }


def script_line(trace, script_file):
    """The line of the script's innermost frame."""
    line = None
    for entry in entries(trace):
        if entry.tb_frame.f_code.co_filename == script_file:
            line = entry.tb_lineno
    return line


def locate(report, trace, script_file):
    line = script_line(trace, script_file)
    if line is not None:
        report["line"] = line
        report["text"] = cut(linecache.getline(script_file, line).rstrip(), LONGEST_LINE)


def line_of(source, line):
    lines = source.splitlines()
    return cut(lines[line - 1], LONGEST_LINE) if 0 < line <= len(lines) else None


def at_import(trace, script_file):
    """Whether the script's innermost frame was at an import; the instruction says so, where a line can
    hold other statements as well."""
    last = None
    for entry in entries(trace):
        if entry.tb_frame.f_code.co_filename == script_file:
            last = entry
    if last is None:
        return False
    code = last.tb_frame.f_code.co_code
    return 0 <= last.tb_lasti < len(code) and opname[code[last.tb_lasti]].startswith("IMPORT_")


def causes_of(error):
    """The exceptions that led to this one, the direct cause first."""
    causes, seen = [], {id(error)}
    while len(causes) < MOST_CAUSES:
        cause = error.__cause__
        if cause is None and not error.__suppress_context__:
            cause = error.__context__
        if cause is None or id(cause) in seen:
            break
        seen.add(id(cause))
        causes.append(cut("%s: %s" % (name_of(cause), message_of(cause)), LONGEST_LINE))
        error = cause
    for part in getattr(error, "exceptions", ())[:MOST_CAUSES]:
        causes.append(cut("%s: %s" % (name_of(part), message_of(part)), LONGEST_LINE))
    return causes
