"""The example instrument: commands for scientists, and a simulated instrument that they drive.

* `simulation` and what it is made of (`motion`, `beam`, `acquisition`, `fluidics`) model the instrument:
  plain state that is carried forward by an explicit amount of time. Nothing in there waits, reads a clock
  or talks to anybody.
* `instrument` is how commands reach it: in a server process of its own (`connection`, `server`), where it
  outlives a job and can be changed by hand (`console`), or in this process on virtual time (`virtual`).
* `run_control`, `blocks`, `waits`, `environment`, `technique` hold what the catalogue's commands do. They
  are written the same way as those of a real instrument.
"""
