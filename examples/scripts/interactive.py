"""Ask people at the instrument before and during a measurement.

A question goes to every client; anybody who may control the job answers it. With a default, the job goes on
with it when nobody answers in time, so that an experiment at night does not stand still.
"""

import beamq

sample = beamq.ask("Which sample is in the beam?", default="water", choices=["water", "oil"], timeout=600)
print("measuring", sample)

frames = int(input("How many frames? "))  # Plain input() is a question as well.
for frame in beamq.track(range(1, frames + 1), text="frames"):
    print("frame", frame)
    beamq.sleep(0.05)

if beamq.ask("Does it look right?", default=True, choices=[True, False], timeout=60):
    print("kept", frames, "frames of", sample)
else:
    raise SystemExit("thrown away: it did not look right")
