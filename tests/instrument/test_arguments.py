"""What scientists read when a call is wrong; the texts are pinned in argument_errors.txt (regenerated with
UPDATE_GOLDEN=1)."""

import inspect
import os
import pathlib
import subprocess
import sys
import unittest

import beamq
import beamq.commands as commands

GOLDEN = pathlib.Path(__file__).with_name("argument_errors.txt")
CALLS = [
    "set_temperature(400)", "set_temperature(0)", "set_temperature('kep')", "set_temperature('5 K')",
    "set_temperature('5')", "set_temperature(None)", "set_temperature()", "set_temperature(5, wiat=True)",
    "set_temperature(5, wait='yes')", "set_temperature(5, wait=1)", "set_temperature(5, True, 7)",
    "set_temperature(5, value=6)", "set_temperature(float('nan'))", "set_temperature(float('inf'))",
    "set_temperature([5])", "set_temperature(True)", "set_temperature(object)",
    "waitfor_frames(2.5)", "waitfor_frames(-1)", "waitfor_uamps('30 uah')", "waitfor_time(time='1:2:3')",
    "waitfor_time(time=90)", "do_sans('x', 'A')", "do_sans('x', 'at')", "do_sans(5, 'AT')",
    "do_sans(title='x')", "contrast_change([1, 2, 3])", "contrast_change([1, 2, 3, 400])",
    "contrast_change([1, 2, 3, 'x'])", "contrast_change(100)", "change(rb='RB12')", "change(rb=12)",
    "cset('Teta', 5)", "cset('Theta', 'up')", "run_angle('x', 1, vgaps={'S1': 60})",
    "run_angle('x', 1, vgaps=[1])", "waitfor_runstate('running')", "change_title('x' * 300)",
    "begin(0)", "begin(1.5)", "send_alert('')", "waitfor_move(blocks=['Theta', 'Fi'])", "waitfor_move(blocks='Theta')",
]


def complaint(call):
    try:
        eval(call, vars(commands))
    except beamq.CommandArgumentError as error:
        return error
    raise AssertionError("%s is taken" % call)


class Arguments(unittest.TestCase):
    def test_every_mistake_is_explained(self):
        lines = []
        for call in CALLS:
            error = complaint(call)
            kind = "TypeError" if isinstance(error, TypeError) else "ValueError"
            lines.append("%s\n    %s: %s\n" % (call, kind, error))
        text = "\n".join(lines)
        if os.environ.get("UPDATE_GOLDEN"):
            GOLDEN.write_text(text, "utf-8")
        self.assertEqual(text, GOLDEN.read_text("utf-8"))

    def test_an_error_names_command_parameter_value_and_what_is_allowed(self):
        error = complaint("set_temperature(400)")
        self.assertEqual((error.command, error.parameter, error.value), ("set_temperature", "value", 400))
        self.assertEqual(error.allowed, "a number from 0.1 to 300 K, or keep")
        self.assertIsInstance(error, ValueError)
        self.assertEqual(complaint("set_temperature('kep')").hint, "did you mean keep?")

    def test_functions_look_like_functions(self):
        function = commands.set_temperature
        self.assertEqual(str(inspect.signature(function)), "(value: float, wait: bool = False)")
        self.assertEqual((function.__name__, function.__module__), ("set_temperature", "beamq.commands"))
        self.assertIn("value: a number from 0.1 to 300 K, or keep. Set point.", function.__doc__)
        self.assertTrue(function.__doc__.startswith("Sets the temperature of the cryostat."))

    def test_numbers_of_other_libraries_and_tuples_are_taken(self):
        from fractions import Fraction

        from beamq import _arguments

        number = {"type": "number", "minimum": 0, "maximum": 10}
        self.assertEqual(_arguments.checked(number, Fraction(5, 2)), 2.5)
        self.assertEqual(_arguments.checked({"type": "integer"}, 3.0), 3)
        self.assertEqual(_arguments.checked({"type": "array", "items": number}, (1, 2)), [1, 2])
        self.assertIs(type(_arguments.checked({"type": "integer"}, 3.0)), int)

    def test_a_step_and_its_nearest_value(self):
        from beamq import _arguments

        with self.assertRaises(_arguments.Complaint) as caught:
            _arguments.checked({"type": "number", "minimum": 1, "step": 0.5, "unit": "mm"}, 1.7)
        self.assertEqual(str(caught.exception), "1.7 mm is no multiple of the step 0.5 from 1")
        self.assertEqual(caught.exception.hint, "the nearest step is 1.5")

    def test_an_unknown_command_is_answered_with_the_nearest(self):
        with self.assertRaisesRegex(AttributeError, "no command 'set_temprature'; did you mean 'set_temperature'"):
            commands.set_temprature
        with self.assertRaisesRegex(AttributeError, "did you mean 'set_temperature'"):
            commands.temperature_set

    def test_the_code_of_the_instrument_is_imported_with_the_first_call(self):
        code = ("import sys\nfrom beamq.commands import *\nassert 'demo' not in sys.modules\n"
                "try: set_temperature(999)\nexcept ValueError: pass\nassert 'demo' not in sys.modules\n"
                "print(set_temperature.__name__)")
        self.assertEqual(self.python(code, catalogue=True).stdout.strip(), "set_temperature")

    def test_outside_of_a_server_everything_can_be_imported_and_says_what_is_missing(self):
        code = ("import beamq\nfrom beamq import commands\nfrom beamq.commands import *\nbeamq.waiting('x')\n"
                "beamq.report_error(ValueError('x'), 'y', z=1)\n"
                "try:\n    from beamq.commands import begin\nexcept ImportError as error: print(error)")
        ended = self.python(code, catalogue=False)
        self.assertIn("come from a script server's catalogue", ended.stdout, ended.stderr)
        self.assertIn("beamq submit", ended.stdout)

    def test_a_catalogue_that_is_damaged_is_named(self):
        broken = pathlib.Path(os.environ["BEAMQ_CATALOGUE"]).with_name("broken.json")
        broken.write_text("{", "utf-8")
        with self.assertRaisesRegex(ImportError, "broken.json is no catalogue"):
            commands.load(str(broken))
        with self.assertRaisesRegex(ImportError, "absent.json cannot be read: No such file"):
            commands.load(str(broken.with_name("absent.json")))
        self.assertTrue(callable(commands.begin), "the commands that were there stay")

    def python(self, code, catalogue):
        environment = dict(os.environ)
        if not catalogue:
            environment.pop("BEAMQ_CATALOGUE")
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            universal_newlines=True, timeout=60,
        )


if __name__ == "__main__":
    unittest.main()
