"""The first file that a simulation runs; see beamq_dryrun. It must be readable by every Python, so that one
that is too old is refused with a clear message instead of a syntax error."""

import os
import sys

OLDEST = (3, 9)

if sys.version_info[:2] < OLDEST:
    reason = "Python %d.%d is too old, 3.9 or newer is needed" % tuple(sys.version_info[:2])
    os.write(0, ('{"say": "refused", "reason": "%s"}\n' % reason).encode("utf-8"))
    sys.exit(1)

import beamq_dryrun  # noqa: E402

if __name__ == "__main__":
    beamq_dryrun.main()
