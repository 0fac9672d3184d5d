"""Measures a sample at two temperatures with the commands of the example instrument.

The commands are plain functions, checked against the catalogue before they run. Submit it with

    beamq submit examples/scripts/measurement.py
"""

from beamq.commands import begin, change_title, end, set_temperature, waitfor_uamps

for kelvin in (280, 270):
    set_temperature(value=kelvin, wait=True)
    change_title(title=f"lysozyme at {kelvin} K")
    begin()
    waitfor_uamps(uamps=0.2)
    end()
    print(f"measured at {kelvin} K")
