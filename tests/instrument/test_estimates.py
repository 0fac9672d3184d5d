"""Every command of the catalogue, called as its examples say: what the formula predicts is what it takes."""

import unittest

import beamq.commands as commands
from beamq import _arguments
from demo import run_control
from demo.instrument import LocalInstrument, ManualClock, use

import expressions

# What has to be done before a command makes sense.
IN_A_RUN = {"end", "abort_run", "pause_run", "updatestore", "waitfor_uamps", "waitfor_frames",
            "waitfor_raw_frames", "waitfor_mevents"}
IN_A_PAUSED_RUN = {"resume_run"}


class Estimates(unittest.TestCase):
    def measure(self, name, example):
        """The predicted and the actual seconds of a call."""
        spec = commands.describe(name)
        link = LocalInstrument(clock=ManualClock())
        with use(link):
            if name in IN_A_RUN | IN_A_PAUSED_RUN:
                run_control.begin(quiet=True)
            if name in IN_A_PAUSED_RUN:
                run_control.pause_run()
            arguments = {key: one["default"] for key, one in spec.get("parameters", {}).items() if "default" in one}
            arguments.update(example)
            predicted = None
            if spec.get("estimate") is not None:
                predicted = expressions.seconds(spec["estimate"], arguments, link.state())
            before = link.now()
            getattr(commands, name)(**example)
            return predicted, link.now() - before

    def test_formulas_are_right_within_2_per_cent(self):
        predictions = 0
        for name in commands.__all__:
            for example in commands.describe(name)["examples"]:
                with self.subTest(name, **example):
                    predicted, actual = self.measure(name, example)
                    if predicted is not None:
                        predictions += 1
                        self.assertAlmostEqual(predicted, actual, delta=max(0.02 * actual, 1e-6))
        self.assertEqual(predictions, 40)

    def test_all_commands_of_the_instrument_are_there(self):
        self.assertEqual(len(commands.__all__), 37)
        without = [name for name in commands.__all__ if commands.describe(name).get("estimate") is None]
        self.assertEqual(sorted(without), ["waitfor_block", "waitfor_runstate"])

    def test_more_calls_of_formulas_with_branches(self):
        calls = [
            ("set_temperature", {"value": "keep", "wait": True}), ("set_temperature", {"value": 5}),
            ("set_field", {"value": -3, "device": "TF", "wait": True}), ("set_field", {"value": "keep"}),
            ("inject", {"seconds": 90, "wait": True}), ("inject", {"volume": 2}),
            ("waitfor_time", {"seconds": 10, "minutes": 1, "hours": 0.5}),
            ("set_aperture", {"size": "SMALL"}), ("set_aperture", {"size": "LARGE", "wait": False}),
            ("go_to_area", {"area": 100, "speed": 1, "maxwait": 60}), ("waitfor_move", {}),
            ("do_trans", {"title": "x", "position": "AT", "minutes": 30}),
            ("run_angle", {"sample": "x", "angle": 2.5, "count_seconds": 600}),
            ("scan", {"motion": "Phi", "start": 3, "stop": 0, "count": 4, "seconds": 300}),
            ("scan_chopper", {"phase_from": 3000, "phase_to": 0, "phase_step": 700, "uamps": 1}),
        ] + [("cset", {"block": block, "value": value, "wait": True}) for block, value in (
            ("Theta", 45), ("Phi", -90), ("Sample_Height", 5), ("S1_VGap", 2), ("S1_HGap", 30), ("Changer", 475),
            ("Trans_Monitor", 100), ("Chopper_Phase", 5000), ("Ei", 120), ("Temperature", 5), ("Julabo1_SP", 50),
            ("Field", 1))]
        for name, example in calls:
            with self.subTest(name, **example):
                predicted, actual = self.measure(name, example)
                self.assertIsNotNone(predicted)
                self.assertAlmostEqual(predicted, actual, delta=max(0.02 * actual, 1e-6))

    def test_without_beam_a_charge_has_no_estimate_rather_than_zero(self):
        link = LocalInstrument(clock=ManualClock())
        link.do("trip", on=True)
        text = commands.describe("waitfor_uamps")["estimate"]
        self.assertIsNone(expressions.seconds(text, {"uamps": 5}, link.state()))

    def test_defaults_agree_with_the_implementations(self):
        import importlib
        import inspect

        for name in commands.__all__:
            spec = commands.describe(name)
            module, _, function = spec["implementation"].partition(":")
            own = inspect.signature(getattr(importlib.import_module(module), function)).parameters
            takes_any = any(one.kind is one.VAR_KEYWORD for one in own.values())
            for key, parameter in spec.get("parameters", {}).items():
                with self.subTest(name, parameter=key):
                    if key not in own:
                        self.assertTrue(takes_any)
                    elif "default" in parameter:
                        self.assertEqual(own[key].default, parameter["default"])
                    elif parameter.get("optional"):
                        self.assertIsNone(own[key].default)
                    else:
                        self.assertIs(own[key].default, inspect.Parameter.empty)

    def test_examples_and_limits_are_taken_by_the_catalogue_itself(self):
        for name in commands.__all__:
            spec = commands.describe(name)
            for key, parameter in spec.get("parameters", {}).items():
                for limit in ("minimum", "maximum", "default"):
                    if limit in parameter and (limit == "default" or parameter["type"] in ("number", "integer")):
                        self.assertEqual(_arguments.checked(parameter, parameter[limit]), parameter[limit], key)

    def test_a_simulation_hook_has_the_effect_and_the_length_of_the_command(self):
        from unittest import mock

        from demo import virtual

        virtual._instrument = LocalInstrument(clock=ManualClock())
        self.addCleanup(setattr, virtual, "_instrument", None)
        with mock.patch("socket.socket", side_effect=AssertionError("a simulation opened a socket")):
            virtual.begin(quiet=True)
            before = virtual.the_instrument().now()
            for total in (10, 20, 30):
                virtual.waitfor_uamps(uamps=total)
            self.assertAlmostEqual(virtual.the_instrument().now() - before, 2700, places=6)
            virtual.set_temperature(value=200, wait=True)
        self.assertEqual(virtual.state()["temperature"], 200)
        for name in commands.__all__:
            module, _, function = commands.describe(name)["simulate"].partition(":")
            self.assertEqual((module, function), ("demo.virtual", name))
            self.assertTrue(callable(getattr(virtual, name)))


if __name__ == "__main__":
    unittest.main()
