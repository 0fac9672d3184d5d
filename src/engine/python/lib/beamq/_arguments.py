"""Values against what a parameter of a command takes, in the words that the server uses for the same."""

from __future__ import annotations

import difflib
import json
import re
from numbers import Integral, Real

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Optional

WORDS = {
    "number": "a number", "integer": "a whole number", "string": "text", "boolean": "true or false",
    "array": "a list", "object": "a mapping",
}
COUNTED = {"string": " characters", "array": " items", "object": " items"}
LONGEST_SHOWN = 80


class Complaint(Exception):
    """Why a value is not taken. `wrong_type`: it is of another type, rather than out of its limits."""

    def __init__(self, message: str, allowed: str, hint: Optional[str] = None, wrong_type: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.allowed = allowed
        self.hint = hint
        self.wrong_type = wrong_type
        self.path = ""


def checked(parameter: Dict[str, Any], value: Any) -> Any:
    """The value as the implementation gets it: a plain number for any kind of number, a list for any
    sequence. Raises Complaint when the parameter does not take it."""
    keywords = parameter.get("keywords") or []
    if value is None and parameter.get("optional"):
        return None
    if isinstance(value, str) and value in keywords:
        return value
    try:
        return _checked(parameter, value)
    except Complaint as complaint:
        if not complaint.path:
            complaint.allowed = allowed(parameter)
            near = nearest(value, keywords) if isinstance(value, str) else None
            if near:
                complaint.hint = "did you mean %s?" % near
        raise


def _checked(spec: Dict[str, Any], value: Any) -> Any:
    kind = spec["type"]
    value = plain(value)
    if not has_type(kind, value):
        message = "%s is %s, and %s is expected" % (shown(value), kind_of(value), WORDS[kind])
        raise Complaint(message, allowed_values(spec), hint_for_type(spec, value), wrong_type=True)
    if kind == "integer":
        value = int(value)
    choices = spec.get("choices") or []
    if choices and value not in choices:
        near = nearest(value, [choice for choice in choices if isinstance(choice, str)])
        raise Complaint(
            "%s is not one of the choices" % shown(value), allowed_values(spec),
            "did you mean %s?" % near if near else None,
        )
    _check_size(spec, kind, value)
    _check_step(spec, value)
    pattern = spec.get("pattern")
    if pattern and isinstance(value, str) and not re.fullmatch(pattern, value):
        raise Complaint("%s does not match the pattern `%s`" % (shown(value), pattern), allowed_values(spec))
    return _checked_items(spec, value)


def _check_size(spec: Dict[str, Any], kind: str, value: Any) -> None:
    if kind in ("number", "integer"):
        size, subject = value, "%s%s" % (shown(value), suffix(spec))
    elif kind in COUNTED:
        size = len(value)
        subject = {"string": "a text of %d characters", "array": "a list of %d items"}.get(kind, "%d items") % size
    else:
        return
    for key, beyond in (("minimum", "below"), ("maximum", "above")):
        limit = spec.get(key)
        if limit is not None and (size < limit if beyond == "below" else size > limit):
            message = "%s is %s the %s of %s%s" % (subject, beyond, key, number(limit), suffix(spec))
            raise Complaint(message, allowed_values(spec))


def _check_step(spec: Dict[str, Any], value: Any) -> None:
    step = spec.get("step")
    if not step or spec["type"] not in ("number", "integer"):
        return
    base = spec.get("minimum") or 0
    steps = (value - base) / step
    if abs(steps - round(steps)) > 1e-9 * max(1.0, abs(steps)):
        raise Complaint(
            "%s%s is no multiple of the step %s from %s" % (shown(value), suffix(spec), number(step), number(base)),
            allowed_values(spec),
            "the nearest step is %s" % number(round(base + round(steps) * step, 9)),
        )


def _checked_items(spec: Dict[str, Any], value: Any) -> Any:
    items = spec.get("items")
    if items is None:
        return value
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {}
    for key, item in pairs:
        try:
            found[key] = _checked(items, item)
        except Complaint as complaint:
            complaint.path = ("[%d]" if isinstance(key, int) else ".%s") % key + complaint.path
            raise
    return found if isinstance(value, dict) else list(found.values())


def plain(value: Any) -> Any:
    """The value as JSON has it: numbers of any library become Python's own, sequences become lists."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    # Arrays and scalars of numeric libraries, which are not imported here to ask for them.
    to_list = getattr(value, "tolist", None)
    return to_list() if callable(to_list) else value


def has_type(kind: str, value: Any) -> bool:
    """Whether a plain value is of a catalogue's type."""
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "number":
        # Neither is a place that an instrument can go to.
        return isinstance(value, (int, float)) and value == value and abs(value) != float("inf")
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, {"string": str, "array": list, "object": dict}.get(kind, ()))


def kind_of(value: Any) -> str:
    """The type of a plain value in words."""
    if value is None:
        return "nothing"
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return "no finite number"
    for kind, words in ((bool, "a boolean"), ((int, float), "a number"), (str, "text"), (list, "a list"), (dict, "a mapping")):
        if isinstance(value, kind):
            return words
    return "of the type %s" % type(value).__name__


def hint_for_type(spec: Dict[str, Any], value: Any) -> Optional[str]:
    """What to do about a value of the wrong type."""
    kind = spec["type"]
    if kind in ("number", "integer") and isinstance(value, str):
        found = re.match(r"\s*([-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)\s*(.*)", value)
        if not found:
            return None
        if not found.group(4):
            return "write %s without quotes" % found.group(1)
        return "give the number alone: %s%s" % (found.group(1), "; it is in" + suffix(spec) if suffix(spec) else "")
    if kind == "integer" and isinstance(value, float) and value == value and abs(value) != float("inf"):
        return "the nearest whole number is %d" % round(value)
    if kind == "boolean":
        if str(value).lower() in ("true", "yes", "on", "y", "1"):
            return "write True, without quotes"
        return "write False, without quotes" if str(value).lower() in ("false", "no", "off", "n", "0") else None
    if kind == "string" and isinstance(value, (bool, int, float)):
        return "put it in quotes: \"%s\"" % value
    if kind == "array" and isinstance(value, (str, bool, int, float)):
        return "a list of one is [%s]" % shown(value)
    return "give a value, or leave the parameter out" if value is None else None


def allowed(parameter: Dict[str, Any]) -> str:
    """What a parameter takes, in one line."""
    keywords = parameter.get("keywords") or []
    return allowed_values(parameter) + (", or " + ", ".join(keywords) if keywords else "")


def allowed_values(spec: Dict[str, Any]) -> str:
    """What values are taken, in one line."""
    if spec.get("choices"):
        return ", ".join(shown(choice) for choice in spec["choices"]) + suffix(spec)
    kind = spec["type"]
    numeric = kind in ("number", "integer")
    unit = suffix(spec) if numeric else COUNTED.get(kind, "")
    least, most = spec.get("minimum"), spec.get("maximum")
    text = WORDS[kind]
    if least is not None and most is not None:
        text += " from %s to %s%s" % (number(least), number(most), unit)
    elif least is not None:
        text += " of at least %s%s" % (number(least), unit)
    elif most is not None:
        text += " of at most %s%s" % (number(most), unit)
    elif numeric and unit:
        text += " in%s" % unit
    if spec.get("step"):
        text += " in steps of %s" % number(spec["step"])
    if spec.get("pattern"):
        text += " that matches `%s`" % spec["pattern"]
    if spec.get("items"):
        text += ", each %s" % allowed_values(spec["items"])
    return text


def suffix(spec: Dict[str, Any]) -> str:
    """The unit as it follows a number; empty when there is none."""
    unit = spec.get("unit")
    if not unit or unit == "none":
        return ""
    return " " + (unit[len("other:"):].strip() if unit.startswith("other:") else unit)


def number(value: Any) -> str:
    """A number without a useless fraction."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return "%d" % value
    return str(value)


def shown(value: Any) -> str:
    """A value as people read it, cut to what a line can show."""
    if value is None or isinstance(value, bool):
        text = str(value)
    elif isinstance(value, (int, float)):
        text = number(value)
    else:
        try:
            text = json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            text = _shown_by_itself(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def _shown_by_itself(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # A __repr__ of a script may do anything.
        return "a %s" % type(value).__name__


def nearest(name: str, names: Iterable[str]) -> Optional[str]:
    """The known name that was probably meant; parts in another order (`temperature_set`) count."""
    given = str(name)[:64].lower()
    best, best_ratio = None, 0.7
    for known in names:
        ratio = max(
            difflib.SequenceMatcher(None, one, other).ratio()
            for one, other in ((given, known.lower()), (sorted_parts(given), sorted_parts(known.lower())))
        )
        if ratio > best_ratio:
            best, best_ratio = known, ratio
    return best


def sorted_parts(name: str) -> str:
    """`set_temperature` and `temperature_set` alike as `set_temperature`."""
    return "_".join(sorted(name.split("_")))
