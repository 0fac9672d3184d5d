"""A script with a mistake that Python only finds after some work has been done."""

import time

readings = []


def mean(values):
    return sum(values) / len(values)


for n in range(5):
    time.sleep(0.2)
    readings.append(4.2 + 0.01 * n)
    print(f"reading {n + 1}: {readings[-1]:.2f} K")

# The mistake: the list is called `readings`.
print(f"mean of {len(readings)} readings: {mean(reading):.3f} K")
