"""The first file that a worker runs. It must be readable by every Python, so that a Python which is
too old is refused with a clear message instead of a syntax error."""

import gc
import os
import sys

OLDEST = (3, 9)


def refuse(reason):
    """Tell the server, in its own terms, that this interpreter cannot run jobs."""
    escaped = reason.replace("\\", "\\\\").replace('"', '\\"')
    os.write(0, ('{"say": "refused", "reason": "%s"}\n' % escaped).encode("utf-8"))
    sys.exit(1)


if sys.version_info[:2] < OLDEST:
    refuse("Python %d.%d is too old, 3.9 or newer is needed" % tuple(sys.version_info[:2]))

# What is imported now stays: looking through it for garbage costs a tenth of the time.
gc.disable()

# Every worker imports the same files: they are compiled once, even where scripts are not to leave compiled
# files behind.
scripts_write_none = sys.dont_write_bytecode
sys.dont_write_bytecode = False
import beamq_worker  # noqa: E402

sys.dont_write_bytecode = scripts_write_none

if __name__ == "__main__":
    beamq_worker.main()
