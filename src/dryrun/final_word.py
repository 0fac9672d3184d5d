import json
import sys
import warnings


def remark(message, line, column):
    return {"message": message, "line": max(line or 1, 1), "column": max(column or 1, 1)}


def judged(source):
    answer = {"error": None, "warnings": []}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            compile(source, "script", "exec", 0, True)
        except SyntaxError as error:
            answer["error"] = remark(str(error.msg), error.lineno, error.offset)
        except (ValueError, OverflowError, MemoryError, RecursionError) as error:
            answer["error"] = remark(str(error) or type(error).__name__, None, None)
    for warning in caught[:50]:
        if issubclass(warning.category, (SyntaxWarning, DeprecationWarning)):
            answer["warnings"].append(remark(str(warning.message), warning.lineno, None))
    return answer


# The text is read as the server has it, whatever a coding line says.
text = sys.stdin.buffer.read().decode("utf-8", "replace").lstrip("\ufeff")
sys.stdout.write(json.dumps(judged(text)))
