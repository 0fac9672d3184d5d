"""The commands of the instrument as functions.

    from beamq.commands import set_temperature, waitfor_uamps

    set_temperature(5, wait=True)

Which commands there are, and what they take, is read from the catalogue that the script server serves.
Arguments are checked against it before anything moves: a wrong one raises `beamq.CommandArgumentError`.
The code of the instrument is imported when its first command is called, not before.

A script server says where the catalogue is in the variable BEAMQ_CATALOGUE. Outside of one, `load(path)`
takes a `catalogue.json`, or the folder it is in. Without a catalogue the import of a command raises
`NoCatalogue`, an ImportError that says this.
"""

# Commands can have any name that does not begin with an underscore.
import os as _os
import sys as _sys

from . import _catalogue
from ._catalogue import NoCatalogue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

__all__: "List[str]" = []

_loaded: "Optional[_catalogue.Catalogue]" = None


def load(path: str) -> None:
    """Take the commands from a catalogue.json, or from the folder that has one."""
    global _loaded
    catalogue = _catalogue.Catalogue(path)
    for name in __all__:
        globals().pop(name, None)
    _loaded = catalogue
    _sys.path.extend(folder for folder in catalogue.folders if folder not in _sys.path)
    globals().update(catalogue.functions)
    __all__[:] = catalogue.functions


def version() -> "Optional[str]":
    """The version of the catalogue that the commands come from; None without one."""
    return None if _loaded is None else _loaded.version


def describe(name: str) -> "Dict[str, Any]":
    """What the catalogue says of a command."""
    if _loaded is None:
        raise NoCatalogue(_catalogue.ADVICE)
    return _loaded.specs[name]


def __getattr__(name: str) -> "Any":
    """What is no command of the catalogue."""
    if name.startswith("_"):
        raise AttributeError(name)
    if _loaded is None:
        raise NoCatalogue(_catalogue.ADVICE)
    near = _loaded.nearest(name)
    raise AttributeError("there is no command %r%s" % (name, "; did you mean %r?" % near if near else ""))


if _os.environ.get("BEAMQ_CATALOGUE"):
    load(_os.environ["BEAMQ_CATALOGUE"])
