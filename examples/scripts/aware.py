"""Measure a pretend sample at several temperatures, and let everybody know how far it is.

The cells (`# %%`) are the steps of the job. Their estimates say which share of the job each of them is, so
that the percentage moves evenly. Outside the server `beamq` does nothing, and the script runs just as well.
"""

# %% Prepare [beamq] estimate="1 s"
import math

import beamq

TEMPERATURES = [5.0, 50.0, 150.0]
ANGLES = [0.5, 1.0, 1.5, 2.0]

if beamq.job is not None:
    print(f"job {beamq.job.id} of {beamq.job.owner}")


def counts(temperature, angle):
    """What the pretend detector would say."""
    return 1000.0 * math.exp(-((angle - 1.2) ** 2)) / (1.0 + temperature / 100.0)


# %% Measure [beamq] estimate="6 s" pause=true
results = {}
for temperature in beamq.track(TEMPERATURES, text="temperatures"):
    with beamq.step(f"{temperature:g} K"):
        beamq.sleep(0.2)  # The sample gets there. A pause, a skip and an abort act in here.
        for angle in beamq.track(ANGLES):
            results[temperature, angle] = counts(temperature, angle)
            print(f"{temperature:6.1f} K  {angle:4.2f} deg  {results[temperature, angle]:7.1f} counts")
            beamq.pause_point()  # A good place: between two angles.
    beamq.checkpoint("temperature measured", kelvin=temperature)

# %% Summarise [beamq] estimate="1 s"
best = max(results, key=results.get)
beamq.note(f"strongest at {best[0]:g} K and {best[1]:g} deg")
