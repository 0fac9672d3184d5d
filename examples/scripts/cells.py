"""Cool a pretend sample down and measure it.

The `# %%` lines part the script into cells, as Spyder, VS Code, PyCharm and Jupytext understand them.
beamq shows each cell as a step, can pause between any two lines, and gets the percentage from
`beamq.progress`. Without beamq, the script runs just as well.
"""

# %% Prepare
import math
import time

try:
    import beamq
except ImportError:  # Run from an editor or a shell: there is nobody to tell.
    beamq = None


def report(done, total, text):
    if beamq is not None:
        beamq.progress(done, total, text)


ANGLES = [0.5 + 0.25 * n for n in range(12)]
STEPS = 8 + len(ANGLES)
temperature = 20.0
print(f"{len(ANGLES)} angles to measure, sample at {temperature:.1f} K")

# %% Cool down
for n in range(8):
    time.sleep(0.15)
    temperature -= (temperature - 5.0) * 0.5
    report(n + 1, STEPS, f"{temperature:.2f} K")
print(f"sample at {temperature:.2f} K")

# %% Measure
intensities = []
for n, angle in enumerate(ANGLES):
    time.sleep(0.2)
    intensity = 1000.0 * math.exp(-((angle - 1.75) ** 2) / 0.5)
    intensities.append(intensity)
    print(f"angle {angle:4.2f} deg  {intensity:7.1f} counts/s")
    report(8 + n + 1, STEPS, f"{angle:.2f} deg")

# %% Summarise
best = max(zip(intensities, ANGLES))
print(f"strongest at {best[1]:.2f} deg: {best[0]:.1f} counts/s")
