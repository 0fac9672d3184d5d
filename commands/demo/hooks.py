"""Functions of a script that run before and after run control: `set_hook("begin", "pre", function)`.

They belong to the script that sets them and end with it. What a `begin` pre-hook returns, unless it is
None, cancels the begin with that text.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

from .errors import InstrumentError

ACTIONS = ("begin", "end", "abort", "pause", "resume")
_hooks: Dict[Tuple[str, str], Callable[..., Any]] = {}


def set_hook(action: str, moment: str, function: Optional[Callable[..., Any]]) -> None:
    """Have a function called before ("pre") or after ("post") an action of run control; None removes it."""
    if action not in ACTIONS or moment not in ("pre", "post"):
        raise ValueError("a hook is for one of %s, and for pre or post" % ", ".join(ACTIONS))
    if function is None:
        _hooks.pop((action, moment), None)
    else:
        _hooks[action, moment] = function


def run_hook(action: str, moment: str, wanted: bool) -> None:
    """Call the hook, if there is one and it is wanted."""
    hook = _hooks.get((action, moment)) if wanted else None
    said = hook() if hook is not None else None
    if action == "begin" and moment == "pre" and said is not None:
        raise InstrumentError("the begin was cancelled: %s" % said)
