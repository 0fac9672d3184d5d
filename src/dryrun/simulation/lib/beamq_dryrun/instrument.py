"""The simulated instrument: the modules that the catalogue's key `simulate` names, and the devices of
commands that have no such hook.

A hook module may have four functions that are no commands:

* `state()`: the values that estimates use as `state.NAME`;
* `readings()`: what there is to watch, by name: a mapping with `kind` (`device`, `counter`, `consumable`),
  `value`, and perhaps `unit`, `minimum`, `maximum`;
* `status()` and `restore(status)`: everything, as JSON can carry it, for the next script.
"""

import importlib
import sys

from .channel import number

# More than anybody reads, or any instrument has.
MOST_READINGS = 2_000
# A parameter of one of these names says where the one device of a command goes.
GOING = ("value", "position", "target", "setpoint")


class Range:
    """Where a reading was."""

    def __init__(self, kind, value, unit):
        self.kind = kind
        self.unit = unit
        self.start = self.least = self.most = self.last = value
        # What a counter has gained, or a consumable has lost, over the script.
        self.amount = 0.0
        self.limit_hit = False

    def see(self, value):
        change = value - self.last
        if self.kind == "counter":
            # A counter that fell was set to zero, and counts from there.
            self.amount += change if change >= 0 else value
        elif self.kind == "consumable" and change < 0:
            self.amount -= change
        self.last = value
        self.least, self.most = min(self.least, value), max(self.most, value)


class Instrument:
    """What the simulated instrument is and was."""

    def __init__(self, clock, guard, start):
        self._clock = clock
        self._guard = guard
        start = start if isinstance(start, dict) else {}
        self._saved = dict(start.get("modules") or {})
        self._values = {name: number(value) for name, value in (start.get("devices") or {}).items()}
        self._modules = {}
        self._hooks = {}
        self.ranges = {}
        for name, value in self._values.items():
            if value is not None:
                self.ranges[name] = Range("device", value, None)

    def hook(self, name):
        """The function that a catalogue's `simulate` names."""
        found = self._hooks.get(name)
        if found is None:
            module_name, _, path = name.partition(":")
            found = self._module(module_name)
            for part in path.split("."):
                found = getattr(found, part)
            self._hooks[name] = found
        return found

    def _module(self, name):
        module = self._modules.get(name)
        if module is not None:
            return module
        self._guard.inside_hooks += 1
        clock = self._clock
        now = clock.now
        try:
            saved = self._saved.pop(name, None)
            behind = 0 if saved is None else int(1e9 * (number(saved.get("behind_s")) or 0))
            # The instrument is as old as the script; it catches up when it is first looked at.
            clock.now = -behind
            module = self._without_steps(lambda: importlib.import_module(name))
            restore = getattr(module, "restore", None)
            if saved is not None and callable(restore):
                restore(saved.get("status"))
            else:
                self._touch(module)
        finally:
            clock.now = now
            self._guard.inside_hooks -= 1
        self._modules[name] = module
        self.look()
        return module

    @staticmethod
    def _without_steps(load):
        """Before Python 3.12 lines are followed by a function that is told of every call of anything, and loading
        a module makes thousands. None of them is of the script."""
        trace = sys.gettrace()
        sys.settrace(None)
        try:
            return load()
        finally:
            sys.settrace(trace)

    @staticmethod
    def _touch(module):
        """Have the instrument made at this moment."""
        status = getattr(module, "status", None)
        if callable(status) and callable(getattr(module, "restore", None)):
            status()

    # Looking.

    def look(self):
        """Take down all readings."""
        for module in self._modules.values():
            readings = getattr(module, "readings", None)
            if not callable(readings):
                continue
            for name, reading in readings().items():
                self._see(name, reading)

    def _see(self, name, reading):
        value = number(reading["value"])
        if value is None:
            return
        known = self.ranges.get(name)
        if known is None:
            if len(self.ranges) >= MOST_READINGS:
                return
            known = self.ranges[name] = Range(reading.get("kind", "device"), value, reading.get("unit"))
        known.see(value)

    def state(self):
        """The values that estimates use."""
        values = {name: value for name, value in self._values.items() if value is not None}
        for module in self._modules.values():
            state = getattr(module, "state", None)
            if callable(state):
                values.update(state())
        return values

    # Commands without a hook, and commands that were refused.

    def apply(self, spec, arguments, effects=None):
        """The effect of a command without a hook: what the catalogue declares; without that, its one device
        goes where its value says."""
        parameters = spec.get("parameters") or {}
        if effects is not None:
            for name, value in effects.items():
                # The unit is known where the effect is just the value of a parameter.
                source = parameters.get((spec.get("effect") or {}).get(name)) or {}
                self._show(name, value, source.get("unit"))
            return
        devices = spec.get("devices") or []
        for name in GOING:
            value = arguments.get(name)
            if len(devices) == 1 and isinstance(value, (int, float)) and not isinstance(value, bool):
                self._show(devices[0], float(value), (parameters.get(name) or {}).get("unit"))
                return

    def _show(self, device, value, unit):
        """From now on a device shows this; None is what nobody knows."""
        value = number(value)
        if value is None:
            self._values.pop(device, None)
            return
        if device not in self._values and len(self._values) >= MOST_READINGS:
            return
        self._values[device] = value
        known = self.ranges.get(device)
        if known is None:
            known = self.ranges[device] = Range("device", value, unit)
            known.start = None
        known.unit = known.unit or unit
        known.see(value)

    def hit(self, names):
        """A device was told to go beyond a limit."""
        lower = {name.lower(): name for name in self.ranges}
        for name in names:
            known = self.ranges.get(lower.get(str(name).lower(), name))
            if known is None and len(self.ranges) < MOST_READINGS:
                known = self.ranges[str(name)] = Range("device", None, None)
            if known is not None:
                known.limit_hit = True

    # The end.

    def saved(self):
        """Everything, for the next script."""
        behind = self._clock.now / 1e9
        modules = {}
        for name, saved in self._saved.items():
            modules[name] = dict(saved, behind_s=(number(saved.get("behind_s")) or 0) + behind)
        for name, module in self._modules.items():
            status = getattr(module, "status", None)
            if callable(status):
                modules[name] = {"status": status()}
        if not modules and not self._values:
            # Nobody has looked at it: it is as it was.
            return None
        return {"modules": modules, "devices": self._values}

    def devices(self):
        """The devices that moved, or were to go too far."""
        found = []
        for name, one in self.ranges.items():
            if one.kind == "device" and (one.limit_hit or one.least != one.most or one.start is None):
                found.append({
                    "name": name, "unit": one.unit, "start": one.start, "min": one.least, "max": one.most,
                    "end": one.last, "limit_hit": one.limit_hit,
                })
        return found

    def amounts(self):
        """What was counted and used up."""
        return {
            name: {"value": one.amount, "unit": one.unit, "kind": one.kind}
            for name, one in self.ranges.items() if one.kind != "device" and one.amount > 0
        }
