"""Where the instrument of a data directory lives: its socket, its saved state, its locks."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Optional

# The longest name that a Unix socket may have is 108 bytes on Linux and less elsewhere.
LONGEST_SOCKET_NAME = 100


def folder_of(data: Optional[str] = None) -> Path:
    """The folder of the instrument: `BEAMQ_DEMO_FOLDER`, else beside the catalogue that the script server
    has written, else in the data directory `data`, else in the default one."""
    chosen = os.environ.get("BEAMQ_DEMO_FOLDER")
    catalogue = os.environ.get("BEAMQ_CATALOGUE")
    if data is not None:
        folder = _within(Path(data))
    elif chosen:
        folder = Path(chosen)
    elif catalogue:
        folder = Path(catalogue).resolve().parent / "instrument"
    else:
        state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        folder = _within(Path(state) / "beamq")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _within(data: Path) -> Path:
    """The folder in a data directory; the server's engine works in a folder of its own there."""
    found = sorted(data.glob("*/catalogue.json"))
    return (found[0].parent if found else data) / "instrument"


def socket_of(folder: Path) -> str:
    """The name of the socket; a short one elsewhere when the folder's own is too long."""
    name = str(folder / "socket")
    if len(os.fsencode(name)) <= LONGEST_SOCKET_NAME:
        return name
    short = hashlib.sha256(os.fsencode(str(folder.resolve()))).hexdigest()[:16]
    shelter = Path(tempfile.gettempdir()) / ("beamq-instrument-%d" % os.getuid())
    shelter.mkdir(mode=0o700, exist_ok=True)
    if shelter.stat().st_uid != os.getuid():
        raise PermissionError("%s belongs to somebody else" % shelter)
    return str(shelter / short)
