"""Judges the syntax of scripts, one after the other, for the process that started it.

On standard input come scripts, each as its length (8 bytes, the highest first) and its UTF-8 text; for each a
line of JSON goes to standard output. Nothing of a script is run. The first argument is the number of bytes
of memory that may be used, the second the seconds of processor time that one script may take.
"""
import json
import os
import resource
import sys
import warnings

MEMORY, SECONDS = int(sys.argv[1]), int(sys.argv[2])
# The parser says that it is out of memory also when a script is nested too deeply for it. That is meant when
# the script is shorter than this and most of the memory was never used.
SHORT = 1 << 20
# Memory that a long script has taken is not always given back; another process starts small.
LARGEST_KEPT = 256 << 10


def limit(what, soft):
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def used():
    return resource.getrusage(resource.RUSAGE_SELF)


def remark(message, line, column):
    return {"message": message[:500], "line": max(line or 1, 1), "column": max(column or 1, 1)}


def judged(source):
    answer = {"error": None, "warnings": [], "out_of_memory": False}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            compile(source, "script", "exec", 0, True)
        except SyntaxError as error:
            answer["error"] = remark(str(error.msg), error.lineno, error.offset)
        except MemoryError as error:
            answer["out_of_memory"] = len(source) > SHORT or used().ru_maxrss << 10 > MEMORY // 2
            if not answer["out_of_memory"]:
                answer["error"] = remark(str(error) or "too many nested parts", None, None)
        except (ValueError, OverflowError, RecursionError) as error:
            answer["error"] = remark(str(error) or type(error).__name__, None, None)
    for warning in caught[:50]:
        if issubclass(warning.category, (SyntaxWarning, DeprecationWarning)):
            answer["warnings"].append(remark(str(warning.message), warning.lineno, None))
    return answer


def main():
    # Nobody waits for the verdict: what people see at once goes first.
    os.nice(5)
    limit(resource.RLIMIT_AS, MEMORY)
    limit(resource.RLIMIT_CORE, 0)
    scripts = sys.stdin.buffer
    while used().ru_maxrss < LARGEST_KEPT:
        length = scripts.read(8)
        if len(length) < 8:
            break
        # The text is read as the server has it, whatever a coding line says.
        text = scripts.read(int.from_bytes(length, "big")).decode("utf-8", "replace").lstrip("\ufeff")
        limit(resource.RLIMIT_CPU, int(used().ru_utime + used().ru_stime) + 1 + SECONDS)
        sys.stdout.write(json.dumps(judged(text)) + "\n")
        sys.stdout.flush()
        del text


main()
