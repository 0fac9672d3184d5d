"""What the instrument's code needs of the script that runs it; nothing, when it is used by hand."""

from __future__ import annotations

from typing import Any

try:
    import beamq
except ImportError:  # The console and the instrument's own process run without it.
    beamq: Any = None  # type: ignore[no-redef]


class NeverSkipped(Exception):
    """Stands for the skipping of waits where nobody can."""


WaitSkipped = NeverSkipped if beamq is None else beamq.WaitSkipped


def give_way(text: str) -> None:
    """Say what is waited for; pause, skip and abort take effect here."""
    if beamq is not None:
        beamq.waiting(text)


def in_job() -> bool:
    """Whether a script server runs the script."""
    return beamq is not None and beamq.job is not None


def in_dry_run() -> bool:
    """Whether the script is only being judged."""
    return beamq is not None and beamq.in_dry_run
