"""Advice for the mistakes that are made most often."""

import builtins
import difflib
import errno
import keyword
import linecache
import os
import re
import sys

import beamq

PRINT_STATEMENT = re.compile(r"^\s*print\s+[^\s(=]")
SINGLE_EQUALS = re.compile(r"^\s*(if|elif|while)\b[^=!<>:]*[^=!<>:]=[^=]")
BLOCK_START = re.compile(r"^\s*(if|elif|else|for|while|def|class|try|except|finally|with)\b")
KNOWN_PACKAGES = {"cv2": "opencv-python", "yaml": "PyYAML", "PIL": "Pillow", "sklearn": "scikit-learn"}
# What scripts import most that is not Python's own, so that no other name is proposed for it.
USUAL_PACKAGES = {"epics", "genie_python", "h5py", "matplotlib", "numpy", "pandas", "scipy"} | set(KNOWN_PACKAGES)
USUAL_ALIASES = {"np": "numpy", "plt": "matplotlib.pyplot", "pd": "pandas"}


def hint_for(error, source):
    """What to try, or None."""
    for kind, hint in HINTS:
        if isinstance(error, kind):
            said = hint(error, source)
            if said:
                return said
    return None


def nearest(name, names, likeness=0.7):
    found = difflib.get_close_matches(name, [known for known in names if isinstance(known, str)], 1, likeness)
    return found[0] if found else None


def innermost(error):
    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None:
        entry = entry.tb_next
    return entry.tb_frame if entry is not None else None


def line_of(error):
    """The text of the line that raised an error."""
    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None:
        entry = entry.tb_next
    return linecache.getline(entry.tb_frame.f_code.co_filename, entry.tb_lineno) if entry is not None else ""


def commands():
    """The names of the instrument's commands."""
    try:
        from beamq import commands as of_the_catalogue

        return list(of_the_catalogue.__all__)
    except Exception:  # There is no catalogue, or it cannot be read.
        return []


def standard_modules():
    """The names of Python's own modules; older versions have no list of them."""
    listed = getattr(sys, "stdlib_module_names", None)
    if listed is None:
        files = os.listdir(os.path.dirname(os.__file__))
        listed = {file.split(".")[0] for file in files} | set(sys.builtin_module_names) | {"math", "time"}
    return set(listed)


def undefined_name(error, source):
    match = re.search(r"'([^']+)'", str(error))
    name = getattr(error, "name", None) or (match.group(1) if match else None)
    if not name:
        return None
    frame = innermost(error)
    names = set(dir(builtins)) | set(keyword.kwlist)
    if frame is not None:
        names |= set(frame.f_globals) | set(frame.f_locals)
    if isinstance(error, UnboundLocalError):
        return (
            "%r is given a value in this function, which makes it local to it; "
            "pass it as an argument or declare it with 'global %s'" % (name, name)
        )
    if name in USUAL_ALIASES:
        return "'import %s as %s' is missing" % (USUAL_ALIASES[name], name)
    known = commands()
    if name in known:
        return "'from beamq.commands import %s' is missing" % name
    is_module = name in standard_modules() or name in sys.modules or name in USUAL_PACKAGES
    near = nearest(name, names - {name})
    # 'math.pi' means the module, whatever else has a name like it.
    if is_module and (not near or re.search(r"\b%s\s*\." % re.escape(name), line_of(error))):
        return "'import %s' is missing" % name
    if near:
        return "did you mean %r?" % near
    near = nearest(name, known)
    if near:
        return "did you mean %r? 'from beamq.commands import %s' is missing" % (near, near)
    return "%r is not known here; define or import it before it is used" % name


def missing_module(error, source):
    name = (error.name or "").split(".")[0]
    if not name:
        return None
    near = nearest(name, standard_modules() | set(sys.modules) | USUAL_PACKAGES, 0.75)
    if near and name not in USUAL_PACKAGES:
        return "did you mean 'import %s'?" % near
    return (
        "the module %r is not installed for %s; install %s there, or add its folder to engine.python.path"
        % (name, sys.executable, KNOWN_PACKAGES.get(name, name))
    )


def missing_import(error, source):
    match = re.search(r"cannot import name '([^']+)' from '([^']+)'", str(error))
    module = sys.modules.get(match.group(2)) if match else None
    if module is None:
        return None
    near = nearest(match.group(1), dir(module))
    return "did you mean %r?" % near if near else "%r has no %r" % (match.group(2), match.group(1))


def tabs(error, source):
    return "tabs and spaces are mixed in the indentation; use four spaces everywhere"


def indentation(error, source):
    message = error.msg or ""
    if "expected an indented block" in message:
        return "indent the lines that belong to the block, by four spaces; an empty block needs 'pass'"
    if "unindent" in message:
        return "this line's indentation fits none of the lines above; line it up with its block"
    return "this line is indented although no block begins above it; remove the extra spaces"


def syntax(error, source):
    message = error.msg or ""
    text = (error.text or "").rstrip()
    if PRINT_STATEMENT.match(text):
        return "print is a function: write print(…) with parentheses"
    if "was never closed" in message or "unexpected EOF" in message or "multi-line statement" in message:
        return "a bracket or quote that was opened is not closed before the end"
    if "EOL while scanning" in message or "unterminated" in message:
        return "a text in quotes is not closed; add the missing quote"
    if "unmatched" in message or "does not match" in message:
        return "the brackets do not match; check how they open and close on this line and above"
    if "expected ':'" in message or (BLOCK_START.match(text) and ":" not in text):
        return "a colon is missing at the end of the line"
    if "invalid character" in message or "invalid non-printable" in message:
        return "a character came in by copying (a curly quote, a long dash); type it again"
    if "cannot assign to" in message or "Maybe you meant '=='" in message or SINGLE_EQUALS.match(text):
        return "to compare write ==; a single = gives a name a value"
    if "await" in message and "outside" in message:
        return "'await' only works in an 'async def' function; asyncio.run(…) runs one"
    if "outside loop" in message or "not properly in loop" in message:
        return "'break' and 'continue' only work in a loop"
    if "leading zeros" in message:
        return "write the number without the zeros in front"
    if "positional argument follows" in message:
        return "put the arguments without names before those with names"
    if "outside function" in message:
        return "'return' and 'yield' only work in a function; sys.exit() ends a script"
    if "null byte" in message:
        return "this is not a text file"
    if "invalid syntax" in message:
        return "look also at the line before: an unclosed bracket or quote there shows up here"
    return None  # Python's own words say more than a guess.


def file_not_found(error, source):
    name = error.filename
    if not isinstance(name, str):
        return None
    frame = innermost(error)
    if frame is not None and os.path.basename(frame.f_code.co_filename) == "subprocess.py":
        return "there is no program %r here; check its name, or give its whole path" % name
    if not os.path.isabs(name):
        return "a relative path is looked for in %s; give the whole path" % os.getcwd()
    folder = os.path.dirname(name)
    if not os.path.isdir(folder):
        return "the folder %s does not exist" % folder
    near = nearest(os.path.basename(name), os.listdir(folder)[:1000])
    return "did you mean %s?" % os.path.join(folder, near) if near else "there is no such file in %s" % folder


def permission(error, source):
    return "the account that the script server runs as may not do this; check the file's owner and mode"


def operating_system(error, source):
    return {
        errno.ENOSPC: "the disk is full",
        errno.EEXIST: "it is there already; take another name, or allow for it, as os.makedirs(…, exist_ok=True) does",
        errno.EISDIR: "this is a folder; give the name of a file in it",
        errno.EMFILE: "too many files are open; close them, best with 'with open(…) as file:'",
        errno.EBADF: "a file or stream was used after it had been closed",
    }.get(error.errno)


def connection(error, source):
    return "the other side does not answer; check that the device or service runs and can be reached"


def wrong_type(error, source):
    message = str(error)
    if re.search(r"positional argument|required keyword|unexpected keyword|takes .* argument", message):
        return "check the arguments of the call against the definition of the function"
    if "not callable" in message:
        return "what stands before the brackets is a value, not a function; has its name been reused?"
    if "NoneType" in message:
        return "a function that returned nothing (None) was used as if it had returned a value"
    if "not subscriptable" in message:
        return "square brackets only work on lists, dictionaries, texts and the like"
    if "not iterable" in message or "has no len()" in message:
        return "this is one value, where a list or the like is needed; a loop over numbers takes range(…)"
    if "interpreted as an integer" in message or "integer is required" in message:
        return "a number is needed here, and often a whole one; convert with int(…) or float(…)"
    if "non-int of type" in message:
        return "lists and texts cannot be multiplied by a number; do it for each value, or with numpy"
    if "unhashable" in message:
        return "a list or dictionary cannot be a key; use a tuple or a text"
    if "not all arguments converted" in message or "format" in message:
        return "the values do not fit the % placeholders of the text; an f-string takes any value"
    if re.search(r"concatenate|unsupported operand|can only|not supported between", message):
        return "the two values are of different types; convert one, for example with str(…) or float(…)"
    return None


def missing_attribute(error, source):
    if "'NoneType'" in str(error):
        return "a function that returned nothing (None) was used as if it had returned a value"
    name, owner = getattr(error, "name", None), getattr(error, "obj", None)
    # Before 3.10 an error does not say whose attribute it misses; a module is named in the text.
    match = re.search(r"module '([^']+)' has no attribute '([^']+)'", str(error))
    if owner is None and match:
        owner, name = sys.modules.get(match.group(1)), match.group(2)
    if name and owner is not None:
        near = nearest(name, dir(owner))
        if near:
            return "did you mean %r?" % near
    return "check the spelling after the dot"


def missing_key(error, source):
    frame = innermost(error)
    key = error.args[0] if error.args else None
    if frame is None or not isinstance(key, str):
        return "check the key, or use .get(key) to allow for a missing one"
    for value in list(frame.f_locals.values()):
        if isinstance(value, dict) and len(value) < 10_000:
            near = nearest(key, value, 0.6)
            if near:
                return "did you mean %r?" % near
    return "check the key, or use .get(key) to allow for a missing one"


def out_of_range(error, source):
    return "a list of n items has the indices 0 to n-1"


def division(error, source):
    return "the divisor is 0; check it before dividing"


def wrong_value(error, source):
    message = str(error)
    if "could not convert string to float" in message or "invalid literal for int" in message:
        return "this text is not a number"
    if type(error).__name__ == "JSONDecodeError":
        return "the text is not JSON; line and column are those of the text, not of the script"
    if "sleep length" in message:
        return "a time to wait cannot be negative"
    if "math domain" in message:
        return "the function is not defined for this number, as a root of a negative one"
    if "unpack" in message:
        return "the number of names on the left does not fit the number of values on the right"
    return None


def recursion(error, source):
    return "a function calls itself without end; check the condition that should stop it"


def memory(error, source):
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    allowed = "" if limit < 0 else " (engine.python.memory allows %d MiB)" % (limit >> 20)
    return "the data do not fit into memory%s; work on them in parts" % allowed


def assertion(error, source):
    return None if str(error) else "an 'assert' of the script found its condition to be false"


def timeout(error, source):
    return "nobody answered, or a device took too long; give the question a default or a longer timeout"


def text_encoding(error, source):
    return "the file is not UTF-8 text; open it with encoding='latin-1', or with mode 'rb' for binary data"


def command_argument(error, source):
    return error.hint or "`beamq commands %s` shows what it takes" % error.command


def wait_skipped(error, source):
    return "a wait was skipped; put 'try: … except beamq.WaitSkipped: pass' around it to go on after it"


# The first kind that fits and has something to say wins, so the special ones come first.
HINTS = (
    (beamq.CommandArgumentError, command_argument),
    (TabError, tabs),
    (IndentationError, indentation),
    (SyntaxError, syntax),
    (NameError, undefined_name),
    (ModuleNotFoundError, missing_module),
    (ImportError, missing_import),
    (FileNotFoundError, file_not_found),
    (PermissionError, permission),
    (ConnectionError, connection),
    (TimeoutError, timeout),
    (OSError, operating_system),
    (AttributeError, missing_attribute),
    (KeyError, missing_key),
    (IndexError, out_of_range),
    (ZeroDivisionError, division),
    (UnicodeDecodeError, text_encoding),
    (TypeError, wrong_type),
    (ValueError, wrong_value),
    (RecursionError, recursion),
    (MemoryError, memory),
    (AssertionError, assertion),
    (beamq.WaitSkipped, wait_skipped),
)
