"""The pure model of the instrument: time is an argument, and everything else follows from it."""

import json
import random
import unittest

from demo.acquisition import STATES
from demo.errors import InstrumentError, OutOfRange, WrongRunState
from demo.instrument import LocalInstrument, ManualClock, use
from demo.simulation import Simulation
from demo import blocks, environment, run_control, technique, waits


def running():
    """An instrument in a run that has just begun to count."""
    simulation = Simulation()
    simulation.do("begin")
    simulation.advance(1.0)
    return simulation


class Counters(unittest.TestCase):
    def test_r24_waits_are_for_totals_of_the_run(self):
        link = LocalInstrument(clock=ManualClock())
        with use(link):
            run_control.begin(quiet=True)
            before = link.now()
            for total in (10, 20, 30):
                waits.waitfor_uamps(total)
            self.assertAlmostEqual(link.now() - before, 2700, places=6)

    def test_a_charge_of_1_takes_90_seconds_and_a_frame_a_tenth(self):
        simulation = running()
        simulation.advance(90.0)
        run = simulation.acquisition
        self.assertAlmostEqual(run.uamps, 1.0)
        self.assertAlmostEqual(run.frames, 900)
        self.assertAlmostEqual(run.mevents, 110 * 90 / 3600)

    def test_begin_resets_the_counters_and_pause_stops_them(self):
        simulation = running()
        simulation.advance(100)
        simulation.do("start", what="pause")
        simulation.advance(1000)
        self.assertAlmostEqual(simulation.acquisition.frames, 1000)
        self.assertEqual(simulation.run_state(), "PAUSED")
        simulation.do("start", what="resume")
        simulation.advance(1 + 10)
        self.assertAlmostEqual(simulation.acquisition.frames, 1100)
        simulation.do("start", what="end")
        simulation.advance(5)
        self.assertAlmostEqual(simulation.acquisition.frames, 1100)
        self.assertEqual(simulation.acquisition.run_number, 2)
        simulation.do("begin")
        self.assertEqual(simulation.acquisition.frames, 0)

    def test_without_beam_only_raw_frames_count(self):
        simulation = running()
        simulation.do("trip", on=True)
        simulation.advance(100)
        run = simulation.acquisition
        self.assertEqual((run.uamps, run.frames, run.mevents), (0, 0, 0))
        self.assertAlmostEqual(run.raw_frames, 1000)
        standing = simulation.check({"for": "uamps", "total": 1})
        self.assertFalse(standing["met"])
        self.assertNotIn("left", standing)
        self.assertEqual(standing["text"], "0.0 of 1 µA·h, the beam is off")

    def test_a_schedule_without_beam_delays_a_wait_by_its_length(self):
        link = LocalInstrument(clock=ManualClock())
        with use(link):
            run_control.begin(quiet=True)
            link.do("beam_off", after=100, seconds=600)
            before = link.now()
            waits.waitfor_uamps(10)
            self.assertAlmostEqual(link.now() - before, 900 + 600, places=6)

    def test_a_block_out_of_its_run_control_holds_the_run_back_until_it_is_there(self):
        simulation = running()
        simulation.do("run_control", block="Temperature", on=True, low=0, high=280)
        self.assertEqual(simulation.run_state(), "WAITING")
        simulation.do("move", block="Temperature", value=270)
        # It passes 280 K after 10 K at 2 K/min.
        simulation.advance(1000)
        self.assertAlmostEqual(simulation.acquisition.frames, 10 * (1000 - 300), delta=0.01)

    def test_the_veto_of_the_chopper_holds_the_run_back_while_it_moves(self):
        simulation = running()
        simulation.do("settings", vetos={"ext0": True})
        simulation.do("move", block="Chopper_Phase", value=1000)
        self.assertEqual(simulation.run_state(), "VETOING")
        simulation.advance(100)
        self.assertAlmostEqual(simulation.acquisition.frames, 10 * (100 - 15), places=6)

    def test_waiting_for_a_counter_without_a_run_is_refused(self):
        with self.assertRaisesRegex(WrongRunState, "begin one first"):
            Simulation().check({"for": "frames", "total": 5})

    def test_what_does_not_fit_the_state_of_the_run_is_refused(self):
        for what in ("end", "abort", "updatestore", "pause", "resume"):
            with self.assertRaises(WrongRunState, msg=what):
                Simulation().do("start", what=what)
        with self.assertRaisesRegex(WrongRunState, "run 1 is RUNNING; end or abort it"):
            running().do("begin")
        with self.assertRaises(InstrumentError):
            running().do("settings", periods=5)


class Properties(unittest.TestCase):
    """What holds whatever is done, in whatever steps time passes."""

    def act(self, simulation, choose):
        """Do something at random; the instrument may refuse it."""
        actions = [
            lambda: simulation.do("begin"),
            lambda: simulation.do("start", what=choose.choice(["end", "abort", "pause", "resume", "updatestore"])),
            lambda: simulation.do("move", block=choose.choice(list(simulation.axes)), value=choose.uniform(-10, 400)),
            lambda: simulation.do("trip", on=choose.random() < 0.5),
            lambda: simulation.do("beam_off", after=choose.uniform(0, 50), seconds=choose.uniform(0, 100)),
            lambda: simulation.do("pump", shares={"A": 0.5, "syringe": 0.5}, flow=choose.uniform(0.1, 10), volume=5),
            lambda: simulation.do("run_control", block="Theta", on=choose.random() < 0.5, low=1, high=20),
            lambda: simulation.do("settings", vetos={"ext0": choose.random() < 0.5}),
        ]
        try:
            choose.choice(actions)()
        except InstrumentError:
            pass

    def history(self, seed, pieces):
        """The status after random actions, each interval of time cut into so many pieces."""
        choose, simulation = random.Random(seed), Simulation()
        for _ in range(30):
            self.act(simulation, choose)
            length = choose.uniform(0, 60)
            for _ in range(pieces):
                simulation.advance(length / pieces)
        return simulation

    def test_the_result_does_not_depend_on_the_size_of_the_steps(self):
        for seed in range(60):
            whole, cut = self.history(seed, 1), self.history(seed, 7)
            for name, value in whole.state().items():
                other = cut.state()[name]
                if isinstance(value, str):
                    self.assertEqual(value, other)
                else:
                    self.assertAlmostEqual(value, other, delta=1e-4 * max(1, abs(value)), msg=(seed, name))
            self.assertEqual(whole.run_state(), cut.run_state(), seed)

    def test_limits_volumes_and_counters_hold(self):
        for seed in range(60):
            choose, simulation, before = random.Random(seed), Simulation(), None
            for _ in range(60):
                self.act(simulation, choose)
                simulation.advance(choose.uniform(0, 30))
                run = simulation.acquisition
                self.assertIn(simulation.run_state(), STATES)
                for axis in simulation.axes.values():
                    self.assertTrue(axis.minimum <= axis.value <= axis.maximum, axis)
                self.assertTrue(all(volume >= 0 for volume in simulation.pump.volumes.values()))
                self.assertLessEqual(run.frames, run.raw_frames + 1e-6)
                # Between two runs the counters show the one that is over.
                now = None if run.state == "SETUP" else (run.run_number, run.frames, run.uamps)
                if before is not None and now is not None and before[0] == now[0]:
                    self.assertGreaterEqual(now[1:], before[1:])
                before = now

    def test_what_was_saved_goes_on_in_the_same_way(self):
        for seed in range(20):
            one = self.history(seed, 1)
            other = Simulation()
            other.restore(json.loads(json.dumps(one.status())))
            self.assertEqual(one.status(), other.status())
            one.advance(123)
            other.advance(123)
            self.assertEqual(one.status(), other.status())


class Limits(unittest.TestCase):
    def setUp(self):
        self.link = LocalInstrument(clock=ManualClock())
        chosen = use(self.link)
        chosen.__enter__()
        self.addCleanup(chosen.__exit__, None, None, None)

    def test_an_axis_names_its_limits_and_unit(self):
        with self.assertRaises(OutOfRange) as caught:
            blocks.cset("Theta", 120)
        self.assertEqual(str(caught.exception), "Theta cannot go to 120 deg: its limits are -5 to 90 deg")

    def test_concentrations_sum_to_100(self):
        with self.assertRaisesRegex(OutOfRange, "sum to 100 %, not to 90 %"):
            environment.contrast_change([40, 50, 0, 0], volume=1)

    def test_what_is_pumped_is_used_up_and_an_empty_buffer_is_noticed_before(self):
        environment.contrast_change([75, 25, 0, 0], flow=5, volume=400, wait=True)
        volumes = self.link.status()["pump"]["volumes"]
        self.assertAlmostEqual(volumes["A"], 200)
        self.assertAlmostEqual(volumes["B"], 400)
        with self.assertRaisesRegex(InstrumentError, r"buffer A holds 200.0 mL and 300.0 mL are needed; refill it"):
            environment.contrast_change([75, 25, 0, 0], volume=400)

    def test_zero_field_is_made_by_its_own_device_alone(self):
        for value, device in ((0, "LF"), (1, "ZF")):
            with self.assertRaisesRegex(InstrumentError, "zero field"):
                environment.set_field(value, device)

    def test_a_change_of_the_field_device_goes_through_zero(self):
        environment.set_field(2, "LF", wait=True)
        before = self.link.now()
        environment.set_field(1, "TF", wait=True)
        self.assertAlmostEqual(self.link.now() - before, 240 + 10 + 5 + 120 + 10, places=6)
        self.assertEqual(self.link.state()["field_device"], "TF")

    def test_exactly_one_way_to_count_is_needed(self):
        with self.assertRaisesRegex(InstrumentError, "none is given"):
            technique.do_sans("x", "AT")
        with self.assertRaisesRegex(InstrumentError, "uamps and minutes are given"):
            technique.do_sans("x", "AT", uamps=1, minutes=2)

    def test_a_scan_has_both_ends_also_downwards(self):
        self.assertEqual(technique.points_of(0, 1, step=0.25), [0, 0.25, 0.5, 0.75, 1])
        self.assertEqual(technique.points_of(1, 0, step=0.5), [1, 0.5, 0])
        self.assertEqual(technique.points_of(5, 7, count=3), [5, 6, 7])

    def test_a_pre_hook_that_returns_something_cancels_the_begin(self):
        from demo.hooks import set_hook

        set_hook("begin", "pre", lambda: "the shutter is closed")
        self.addCleanup(set_hook, "begin", "pre", None)
        with self.assertRaisesRegex(InstrumentError, "the begin was cancelled: the shutter is closed"):
            run_control.begin()
        run_control.begin(prepost=False, quiet=True)
        self.assertEqual(self.link.status()["run_state"], "RUNNING")

    def test_a_wait_gives_up_after_its_time(self):
        run_control.begin(quiet=True)
        before = self.link.now()
        waits.waitfor_runstate("PAUSED", maxwaitsecs=100)
        self.assertAlmostEqual(self.link.now() - before, 100, places=6)

    def test_a_wait_of_a_month_is_over_at_once_on_virtual_time(self):
        waits.waitfor_time(hours=720)
        self.assertAlmostEqual(self.link.now(), 30 * 86400, places=3)


if __name__ == "__main__":
    unittest.main()
